"""Rows for `npuc devices`: the catalogue as data, without any layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from program.number_format import FORMAT_NAMES, FormatName
from targets.devices.device import GIBIBYTE, TIERS, Device
from targets.devices.figure import Sourced


@dataclasses.dataclass(frozen=True)
class DeviceRow:
    """One device in the table.

    Attributes:
        id: Name on the command line.
        name: Name for people.
        soc: Market name and part number of the chip.
        tier: Tier of the recipe that is used.
        target: Back end.
        native_formats: Formats the NPU computes in; the CPU's where the NPU is not used.
        storage_formats: Other formats that the NPU or the CPU keeps in flash and memory but computes in another one.
        ram_budget_gib: RAM a model may use, GiB.
        sources: Distinct sources of the figures that are not estimates, sorted.
        estimates: Number of figures nobody published or measured.
    """

    id: str
    name: str
    soc: str
    tier: str
    target: str
    native_formats: tuple[FormatName, ...]
    storage_formats: tuple[FormatName, ...]
    ram_budget_gib: float
    sources: tuple[str, ...]
    estimates: int


def device_rows(devices: Iterable[Device]) -> tuple[DeviceRow, ...]:
    """Returns one row a device, from the high tier to the low one, then by id."""
    ordered = sorted(devices, key=lambda device: (TIERS.index(device.tier), device.id))
    return tuple(_row(device) for device in ordered)


def figures(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Sourced]]:
    """Yields every sourced value of a device with its key, such as `memory.bandwidth`, in file order."""
    for name, value in section:
        key = f"{prefix}{name}"
        if isinstance(value, Sourced):
            yield key, value
        elif isinstance(value, BaseModel):
            yield from figures(value, f"{key}.")


def _row(device: Device) -> DeviceRow:
    sourced = [value for _, value in figures(device)]
    npu, cpu = device.formats.npu, device.formats.cpu
    native = npu.supported_as("native") or cpu.supported_as("native")
    stored = {*npu.supported_as("storage"), *cpu.supported_as("storage")}.difference(native)
    return DeviceRow(
        id=device.id,
        name=device.name,
        soc=f"{device.soc.name} ({device.soc.model})",
        tier=device.tier,
        target=device.target,
        native_formats=native,
        storage_formats=tuple(name for name in FORMAT_NAMES if name in stored),
        ram_budget_gib=device.budgets.ram_bytes.value / GIBIBYTE,
        sources=tuple(sorted({value.source for value in sourced if not value.is_estimate})),
        estimates=sum(value.is_estimate for value in sourced),
    )
