"""Finds targets and accelerators: the built-in ones and those other packages offer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from program.offers import call_offer
from targets.contract.names import CPU, PROCESSOR_NAME, TAKEN_NAMES
from targets.errors import TargetError

if TYPE_CHECKING:
    from targets.contract.accelerator import Accelerator, AcceleratorOffer
    from targets.contract.emulator import Emulator
    from targets.contract.target import Target
    from targets.devices.device import Device

ENTRY_POINT_GROUP = "npuc.targets"
"""An entry point of this group names a function without arguments that returns a `Target`."""

ACCELERATORS = "npuc.accelerators"
"""An entry point of this group, named as the processor, names a function without arguments that returns an
`AcceleratorOffer`."""

_BUILT_IN = {
    "apple": "targets.apple.target",
    "arm": "targets.arm.target",
    "mediatek": "targets.mediatek.target",
    "snapdragon": "targets.snapdragon.target",
}


def target_names() -> tuple[str, ...]:
    """Names of all targets, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))}))


def find_target(name: str) -> Target:
    """Returns a target by name; a built-in name cannot be taken over by another package.

    Raises:
        TargetError: There is none of that name, or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        factory = cast("Callable[[], Target]", importlib.import_module(_BUILT_IN[name]).create_target)
        return factory()
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast("Target", call_offer(entry, "this target", TargetError))
    raise TargetError(
        "no such target",
        received=name,
        remedy=f"use one of {', '.join(target_names())}, or install its package",
    )


def device_accelerators(device: Device) -> tuple[Accelerator, ...]:
    """Returns the back ends of a device's NPU, the preferred one first: those of its target, then those of packages.

    Raises:
        TargetError: A package cannot be loaded, or gives a processor a name that is taken.
    """
    found = list(find_target(device.target).accelerators(device))
    offers = (_offer(entry) for entry in entry_points(group=ACCELERATORS))
    found += filter(None, (offer.accelerator(device) for offer in offers))
    for index, accelerator in enumerate(found):
        _check_name(accelerator.name, [other.name for other in found[:index]])
    return tuple(found)


def find_emulator(target: str, processor: str) -> Emulator | None:
    """Returns what executes the binaries of a processor here; None for the CPU, and for one that nobody knows.

    Raises:
        TargetError: There is no such target, or a package cannot be loaded.
    """
    if processor == CPU:
        return None
    own = find_target(target).emulator(processor)
    if own is not None:
        return own
    entries = entry_points(group=ACCELERATORS, name=processor)
    return next((_offer(entry).emulator() for entry in entries), None)


def npu_format_names() -> tuple[str, ...]:
    """Returns the number formats that some NPU computes in, sorted; which those of a device are its target says.

    Raises:
        TargetError: A package cannot be loaded.
    """
    names = {name for target in map(find_target, target_names()) for name in target.format_names}
    offers = map(_offer, entry_points(group=ACCELERATORS))
    return tuple(sorted(names.union(*(offer.format_names for offer in offers))))


def _offer(entry: EntryPoint) -> AcceleratorOffer:
    return cast("AcceleratorOffer", call_offer(entry, "this accelerator", TargetError))


def _check_name(name: str, others: Sequence[str]) -> None:
    if not PROCESSOR_NAME.fullmatch(name) or name in TAKEN_NAMES or name in others:
        raise TargetError(
            "a processor cannot have this name",
            received=name[:80],
            remedy="lower-case letters, digits and _; none of another processor's, nor of a folder of artifacts",
        )
