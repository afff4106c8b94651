"""Chooses what the NPU of a device computes in: the recipe's word, else a rule by chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from npuc.settings.recipe import Recipe
from targets.contract.accelerator import Accelerator
from targets.contract.npu_format import FLOAT16, STANDARD, NpuFormat
from targets.devices.device import Device
from targets.errors import TargetError, ToolError


@dataclasses.dataclass(frozen=True)
class NpuChoice:
    """The decision.

    Attributes:
        format: None where everything runs on the CPU.
        reason: Why.
        notes: What the user should be told about it.
        measured: Whether each component gets the integer format that measures best, `format` being the first candidate.
        automatic: Whether it is npuc's choice, so that another format may take what this one does not hold.
    """

    format: NpuFormat | None
    reason: str
    notes: tuple[str, ...] = ()
    measured: bool = False
    automatic: bool = False


def choose_accelerators(recipe: Recipe, accelerators: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """Returns the NPU processors from the one on that computes in what the recipe names, else all of them.

    Args:
        recipe: Its key `npu` in section [precision].
        accelerators: Of the device, the preferred one first.
    """
    asked = recipe.precision.npu
    matching = (index for index, entry in enumerate(accelerators) if asked in _names(entry))
    return tuple(accelerators[next(matching, 0) :])


def choose_format(
    recipe: Recipe, accelerator: Accelerator | None, device: Device, *, needs_tool: bool = True
) -> NpuChoice:
    """Decides before any work is done.

    Args:
        recipe: Its key `npu` in section [precision].
        accelerator: The preferred one of the device, if npuc has a back end for any.
        device: The device.
        needs_tool: Whether the vendor's tool is going to be used.

    Raises:
        ToolError: The recipe names a format, and the vendor's tool is not installed.
        TargetError: The recipe names a format that the device's NPU does not compute in, or that has no NPU back end.
    """
    asked = recipe.precision.npu
    if asked == "cpu":
        return NpuChoice(None, "the recipe leaves the NPU out")
    if accelerator is None:
        if asked == "auto":
            note = "the NPU is not used, everything runs on the CPU: npuc has no back end for the NPU of this device"
            return NpuChoice(None, "npuc has no back end for the NPU of this device", (note,))
        raise TargetError(
            "npuc has no back end for the NPU of this device",
            where=device.id,
            received=f"--npu {asked}, or npu in the recipe",
            remedy="use auto or cpu",
        )
    if asked == "auto":
        return _automatic(accelerator, device, needs_tool)
    found = next((entry for entry in accelerator.formats if entry.name == asked), None)
    if found is None:
        raise TargetError(
            f"the NPU of this device does not compute in {asked}",
            where=f"{device.id}: {device.soc.name}",
            received=f'[precision] npu = "{asked}"',
            remedy=f"use one of {', '.join(_names(accelerator))}",
        )
    if needs_tool:
        accelerator.require()
    return NpuChoice(found, "the recipe asks for it")


def _automatic(accelerator: Accelerator, device: Device, needs_tool: bool) -> NpuChoice:
    try:
        if needs_tool:
            accelerator.require()
    except ToolError as error:
        note = f"the NPU is not used, everything runs on the CPU: {error.what}. To use it: {error.remedy}"
        return NpuChoice(None, error.what, (note,))
    preferred = accelerator.formats[0]
    if preferred == FLOAT16:
        return NpuChoice(preferred, f"auto: {device.soc.name} computes float16", automatic=True)
    lacks_half = f"{device.soc.name} does not compute float16"
    reason = f"auto: {lacks_half if preferred.name in STANDARD else f'{accelerator.name} prefers {preferred.name}'}"
    return NpuChoice(preferred, reason, measured=True, automatic=True)


def _names(accelerator: Accelerator) -> tuple[str, ...]:
    return tuple(entry.name for entry in accelerator.formats)
