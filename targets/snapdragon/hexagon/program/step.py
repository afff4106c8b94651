"""A program as kernel calls on named buffers."""

from __future__ import annotations

import dataclasses

from targets.snapdragon.hexagon.kernels.writer import KernelCode


@dataclasses.dataclass(frozen=True)
class Step:
    """One kernel call.

    Attributes:
        kernel: Code and constants.
        sources: Buffers it reads.
        output: Buffer it writes.
        operation: Name of the operation it belongs to.
    """

    kernel: KernelCode
    sources: tuple[str, ...]
    output: str
    operation: str


@dataclasses.dataclass(frozen=True)
class StepSequence:
    """All calls of a program.

    Attributes:
        steps: In order.
        sizes: Bytes of every buffer; inputs and outputs of the program have their tensors' names.
    """

    steps: tuple[Step, ...]
    sizes: dict[str, int]
