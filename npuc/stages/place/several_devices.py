"""One artifact for several devices: the NPU binaries have code for each chip, and the CPU code runs on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from npuc.errors import UsageError
from npuc.settings.recipe import Recipe
from npuc.stages.place.scheme import NpuChoice, choose_accelerators
from targets.contract.accelerator import Accelerator
from targets.contract.joint import Joinable
from targets.contract.registry import device_accelerators
from targets.devices.catalogue import find_device
from targets.devices.device import Device
from targets.errors import TargetError, ToolError

if TYPE_CHECKING:
    from npuc.stages.place.plan import Plan


@dataclasses.dataclass(frozen=True)
class Processors:
    """What to compile for.

    Attributes:
        accelerators: NPU processors of all devices, the preferred one first; empty where the CPU runs everything.
        chips: Names of the chips, where they are several.
        notes: What the user should know about processors that are left out.
    """

    accelerators: tuple[Accelerator, ...]
    chips: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def preferred(self) -> Accelerator | None:
        """The first accelerator."""
        return next(iter(self.accelerators), None)


def choose_processors(recipe: Recipe, device: Device, *, needs_tools: bool = True) -> Processors:
    """Chooses the NPU processors of the device, and joins the preferred one with those of the recipe's further devices.

    Args:
        recipe: Its keys `npu` in section [precision] and `also_devices` in section [npu].
        device: The device.
        needs_tools: Whether binaries are going to be made.

    Raises:
        UsageError: A further device has another target.
        TargetError: A device's NPU cannot be joined with others.
        UnknownDeviceError: There is no such device.
    """
    others = [find_device(name) for name in recipe.npu.also_devices]
    for other in others:
        _check(device, other)
    by_device = [_accelerators(recipe, entry) for entry in (device, *others)]
    if not all(by_device):
        return Processors(by_device[0])
    preferred, *further = by_device[0]
    chips: tuple[str, ...] = ()
    if others and recipe.precision.npu != "cpu":
        preferred, chips = _joined(
            recipe, dict(zip((device.id, *recipe.npu.also_devices), by_device, strict=True))
        )
    common = [entry for entry in further if all(entry.name in {a.name for a in row} for row in by_device)]
    usable, notes = _with_tools(common) if needs_tools else (common, ())
    return Processors((preferred, *usable), chips, notes)


def wants_float(processors: Processors, choice: NpuChoice) -> bool:
    """Whether graphs may be made of the float program for some processor."""
    formats = (entry for accelerator in processors.accelerators for entry in accelerator.formats)
    return choice.format is not None and any(entry.from_float for entry in formats)


def _accelerators(recipe: Recipe, device: Device) -> tuple[Accelerator, ...]:
    return choose_accelerators(recipe, device_accelerators(device))


def _with_tools(accelerators: Sequence[Accelerator]) -> tuple[list[Accelerator], tuple[str, ...]]:
    """Leaves out accelerators behind the first whose tools are missing: the CPU runs what they would."""
    usable, notes = [], []
    for accelerator in accelerators:
        try:
            accelerator.require()
            usable.append(accelerator)
        except ToolError as error:
            notes.append(f"{accelerator.name} is not used: {error.what}. To use it: {error.remedy}")
    return usable, tuple(notes)


def _joined(
    recipe: Recipe, by_device: Mapping[str, Sequence[Accelerator]]
) -> tuple[Accelerator, tuple[str, ...]]:
    """The preferred accelerators of all devices as one, and their chips where they are several."""
    joined: dict[str, Accelerator] = {}
    for name, (part, *_) in by_device.items():
        if not isinstance(part, Joinable):
            raise TargetError(
                "the NPU of this device has no binaries for several chips",
                where=name,
                received=f"also_devices = {list(recipe.npu.also_devices)}",
                remedy="compile for this device alone",
            )
        joined.setdefault(part.chip, part)
    chips = tuple(joined)
    return _join(list(joined.values())), chips if len(chips) > 1 else ()


def _join(parts: Sequence[Accelerator]) -> Accelerator:
    first, *further = parts
    return first.join(further) if further and isinstance(first, Joinable) else first


def require_cpu_code_runs(plan: Plan, recipe: Recipe, device: Device) -> None:
    """Checks that what the plan leaves to the CPU runs on the further devices too.

    Args:
        plan: What runs where on the device.
        recipe: Its key `also_devices` in section [npu].
        device: The device, for whose CPU the code is made.

    Raises:
        UsageError: A further device's CPU lacks a feature, or is of another kind.
    """
    on_cpu = [segment.name for segment in plan.segments if segment.on_cpu]
    for other in map(find_device, recipe.npu.also_devices if on_cpu else ()):
        missing = sorted(set(device.cpu.features) - set(other.cpu.features))
        if other.cpu.triple != device.cpu.triple or missing:
            raise UsageError(
                f"CPU code for {device.id} does not run on {other.id}",
                where=f"on the CPU: {', '.join(on_cpu)}",
                received=f"it lacks {', '.join(missing)}" if missing else other.cpu.triple,
                remedy="compile for each of them; `npuc coverage` says why something runs on the CPU",
            )


def _check(device: Device, other: Device) -> None:
    if other.target != device.target:
        raise UsageError(
            "one artifact is for devices of one target",
            received=f"{device.id}: {device.target}; {other.id}: {other.target}",
            remedy="compile for each of them",
        )
