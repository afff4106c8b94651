"""Errors of the targets: devices, legality, lowering and emulated execution."""

from __future__ import annotations

from exporter.errors import DiagnosticError


class TargetError(DiagnosticError):
    """The target cannot do what is asked (exit code 3: model or target not supported)."""

    exit_code = 3


class UnknownDeviceError(TargetError):
    """No device of that name, tier or target is in the catalogue (exit code 2: usage)."""

    exit_code = 2


class DeviceFileError(TargetError):
    """A device description cannot be read or breaks a rule (exit code 2: usage)."""

    exit_code = 2
