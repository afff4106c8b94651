"""One artifact for several devices: the NPU binaries have code for each chip, and the CPU code runs on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from npuc.errors import UsageError
from npuc.recipe import Recipe
from npuc.segments import Plan
from npuc.stages.scheme import choose_accelerator
from targets.accelerator import Accelerator
from targets.catalogue import find_device
from targets.device import Device
from targets.errors import TargetError
from targets.joint import Joinable
from targets.registry import find_target


@dataclasses.dataclass(frozen=True)
class Processors:
    """What to compile for.

    Attributes:
        accelerator: The NPU of all devices; None where the CPU runs everything.
        chips: Names of their chips, where they are several.
    """

    accelerator: Accelerator | None
    chips: tuple[str, ...] = ()


def choose_processors(recipe: Recipe, device: Device) -> Processors:
    """Chooses the NPU of the device, and joins it with those of the recipe's further devices.

    Args:
        recipe: Its keys `npu` in section [precision] and `also_devices` in section [npu].
        device: The device.

    Raises:
        UsageError: A further device has another target.
        TargetError: A device's NPU cannot be joined with others.
        UnknownDeviceError: There is no such device.
    """
    accelerator = _accelerator(recipe, device)
    others = [find_device(name) for name in recipe.npu.also_devices]
    for other in others:
        _check(device, other)
    if not others or accelerator is None or recipe.precision.npu == "cpu":
        return Processors(accelerator)
    joined: dict[str, Accelerator] = {}
    for entry in (device, *others):
        part = _accelerator(recipe, entry)
        if not isinstance(part, Joinable):
            raise TargetError(
                "the NPU of this device has no binaries for several chips",
                where=entry.id,
                received=f"also_devices = {list(recipe.npu.also_devices)}",
                remedy="compile for this device alone",
            )
        joined.setdefault(part.chip, part)
    chips = tuple(joined)
    if len(chips) == 1:
        return Processors(accelerator)
    return Processors(_join(list(joined.values())), chips)


def _accelerator(recipe: Recipe, device: Device) -> Accelerator | None:
    return choose_accelerator(recipe, find_target(device.target).accelerators(device))


def _join(parts: Sequence[Accelerator]) -> Accelerator:
    first, *further = parts
    return first.join(further) if isinstance(first, Joinable) else first


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
