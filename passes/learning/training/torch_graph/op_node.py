"""What an operator function sees of its node: attributes, element types and constant integers, without the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from passes.core.errors import PassError
from passes.core.rewrite import small_constant


@dataclasses.dataclass(frozen=True)
class OpNode:
    """One node as plain data, so that a module can be copied and pickled without its graph.

    Attributes:
        component: Name of the component.
        name: Name of the node.
        op_type: Operator.
        attributes: Values by name; tensors as numpy arrays.
        inputs: Value names, None for an absent optional one.
        outputs: Value names, empty for an unused one.
        input_dtypes: Element type of each input where it is known.
        output_dtypes: Element type of each output where it is known.
        constants: Input index → its integers, for small constant inputs.
        carrier: Type that floats are computed in: float32, or float64 to check gradients.
        quantises_weight: For DequantizeLinear, whether input 0 is a trained float weight rather than codes.
    """

    component: str
    name: str
    op_type: str
    attributes: Mapping[str, Any]
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    input_dtypes: tuple[ir.DataType | None, ...]
    output_dtypes: tuple[ir.DataType | None, ...]
    constants: Mapping[int, tuple[int, ...]]
    carrier: torch.dtype = torch.float32
    quantises_weight: bool = False

    def integer(self, name: str, default: int) -> int:
        """Reads an integer attribute."""
        return int(self.attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        """Reads a float attribute."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Reads a text attribute."""
        return str(self.attributes.get(name, default))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Reads a list attribute; None where it is absent."""
        values = self.attributes.get(name)
        return None if values is None else tuple(int(value) for value in values)

    def axis(self, default: int, rank: int) -> int:
        """Reads the attribute `axis` as a number from 0."""
        return self.integer("axis", default) % max(rank, 1)

    def list_input(self, index: int, tensor: torch.Tensor | None) -> tuple[int, ...] | None:
        """Returns an integer input as numbers: the constant if it is one, else what the tensor holds now."""
        if index in self.constants:
            return self.constants[index]
        return None if tensor is None else tuple(int(value) for value in tensor.reshape(-1).tolist())

    def unsupported(self, reason: str) -> PassError:
        """Makes the error for a variant of the operator that has no rule."""
        return PassError(
            f"{self.op_type} cannot be trained: {reason}",
            where=f"component {self.component}, node {self.name}",
            received=", ".join(f"{key} = {value}" for key, value in sorted(self.attributes.items())),
            remedy=f"extend the rule of {self.op_type} in passes/training/operators, or rewrite the node",
        )


def describe(node: ir.Node, component: str, carrier: torch.dtype, quantises_weight: bool = False) -> OpNode:
    """Copies what training needs to know of a node.

    Args:
        node: The node.
        component: Name of its component.
        carrier: See `OpNode`.
        quantises_weight: See `OpNode`.
    """
    return OpNode(
        component=component,
        name=node.name or node.op_type,
        op_type=node.op_type,
        attributes={name: _plain(attribute) for name, attribute in node.attributes.items()},
        inputs=tuple(None if value is None else value.name for value in node.inputs),
        outputs=tuple(_name_if_used(value) for value in node.outputs),
        input_dtypes=tuple(None if value is None else value.dtype for value in node.inputs),
        output_dtypes=tuple(value.dtype for value in node.outputs),
        constants=_constants(node),
        carrier=carrier,
        quantises_weight=quantises_weight,
    )


def _plain(attribute: ir.Attr) -> Any:
    if attribute.type == ir.AttributeType.TENSOR:
        return attribute.as_tensor().numpy()
    return attribute.value


def _constants(node: ir.Node) -> dict[int, tuple[int, ...]]:
    found = {}
    for index, value in enumerate(node.inputs):
        if value is None or value.dtype not in (ir.DataType.INT64, ir.DataType.INT32):
            continue
        array = small_constant(value)
        if array is not None:
            found[index] = tuple(int(item) for item in np.asarray(array).reshape(-1))
    return found


def _name_if_used(value: ir.Value) -> str:
    return (value.name or "") if value.uses() or value.is_graph_output() else ""
