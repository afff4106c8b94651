"""The Snapdragon target: all components run on the CPU cores."""

from __future__ import annotations

from targets.tvm.cpu_target import CpuTarget


def create_target() -> CpuTarget:
    """Returns the target."""
    return CpuTarget("snapdragon")
