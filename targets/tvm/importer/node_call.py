"""One ONNX node as its converter sees it: operands, attributes, and the kernel builder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from targets.errors import TargetError
from targets.tvm.importer.kernel_builder import KernelBuilder
from targets.tvm.importer.operand import Operand

StaticArray = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class NodeCall:
    """Arguments of a converter.

    Attributes:
        node: The ONNX node.
        operands: Inputs as kernels read them; none for an omitted optional input.
        statics: Values of inputs known at compile time, in the same order.
        builder: Emits kernels.
        where: Component and node, for messages.
        read_only_by: Operator types of all consumers of the first output.
    """

    node: ir.Node
    operands: tuple[Operand | None, ...]
    statics: tuple[StaticArray | None, ...]
    builder: KernelBuilder
    where: str
    read_only_by: frozenset[str] = frozenset()

    def __getitem__(self, position: int) -> Operand:
        """The required operand at a position.

        Raises:
            TargetError: The node lacks it.
        """
        operand = self.optional(position)
        if operand is None:
            raise self.unsupported(f"input {position} is missing")
        return operand

    def optional(self, position: int) -> Operand | None:
        """The operand at a position, if the node has it."""
        return self.operands[position] if position < len(self.operands) else None

    def present(self) -> tuple[Operand, ...]:
        """All operands that are given."""
        return tuple(operand for operand in self.operands if operand is not None)

    def static(self, position: int) -> StaticArray | None:
        """The compile-time value of an input, none where the input is omitted.

        Raises:
            TargetError: The input is there but its value is not known before the run.
        """
        if position >= len(self.node.inputs) or self.node.inputs[position] is None:
            return None
        value = self.statics[position]
        if value is None:
            raise self.unsupported(f"input {position} is computed at run time; it must be a constant here")
        return value

    def static_ints(self, position: int, attribute: str | None = None) -> tuple[int, ...] | None:
        """Integers of a constant input, or of the attribute older opsets used."""
        value = self.static(position)
        if value is not None:
            return tuple(int(number) for number in np.atleast_1d(value))
        return self.integers(attribute) if attribute else None

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        attribute = self.node.attributes.get(name)
        return attribute.as_int() if attribute is not None else default

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list attribute, none where absent."""
        attribute = self.node.attributes.get(name)
        return tuple(attribute.as_ints()) if attribute is not None else None

    def number(self, name: str, default: float) -> float:
        """A float attribute."""
        attribute = self.node.attributes.get(name)
        return attribute.as_float() if attribute is not None else default

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        attribute = self.node.attributes.get(name)
        return attribute.as_string() if attribute is not None else default

    def axis(self, default: int, rank: int, name: str = "axis") -> int:
        """The axis attribute, counted from the front."""
        return self.integer(name, default) % max(rank, 1)

    def unsupported(self, reason: str) -> TargetError:
        """The error for a form of the operator that has no kernel."""
        return TargetError(
            f"{self.node.op_type} cannot be lowered to CPU code: {reason}",
            where=self.where,
            received=self.node.op_type,
            remedy="rewrite the node before lowering, or exclude the component",
        )


def positive_axes(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front and sorted; all of them for none."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted(axis % max(rank, 1) for axis in axes))
