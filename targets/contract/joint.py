"""What an NPU back end offers that makes one binary for the chips of several devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from targets.contract.accelerator import Accelerator

CHIPS = "chips"
"""Key of a binding: names of all chips that the binary has code for, separated by commas; absent where it is one."""

CHIP = "chip"
"""Key of a binding: which of them to execute."""


@runtime_checkable
class Joinable(Protocol):
    """An accelerator that stands for one chip and can stand for several."""

    @property
    def chip(self) -> str:
        """Name of the chip."""
        ...

    def join(self, others: Sequence[Accelerator]) -> Accelerator:
        """Returns an accelerator whose binaries have code for this chip and the others'.

        Args:
            others: Of other chips.

        Raises:
            TargetError: One is of another kind.
        """
        ...


def each_chip(binding: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Returns a binding that picks the chip, for every chip of a binary.

    Args:
        binding: As recorded.

    Returns:
        By name of the chip; the binding itself, under an empty name, where the binary is for one chip.
    """
    if CHIPS not in binding:
        return {"": binding}
    return {chip: {**binding, CHIP: chip} for chip in binding[CHIPS].split(",")}
