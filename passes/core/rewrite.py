"""What rewrites have in common: walking the nodes, remarks, and building the nodes that replace one."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.graph_pass import GraphPass
from program.program import MODALITY_KEY, Array
from program.remark import Remark

Attribute = int | float | str | Sequence[int] | Sequence[float]

COMPUTE_KEY = "npuc.compute"
"""`metadata_props` key of a node that must compute in the element type it names (`float32`)."""

CONSTANT_SUFFIX = "/constant"
"""Ends the names of constants that rewrites make; `PrefixConstants` puts the component's name in front."""


class Rewrite(GraphPass):
    """A pass that looks at one node after the other."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Offers every node of the graph to `rewrite_node`."""
        modified = False
        for node in tuple(model.graph):
            if node.graph is not None:  # else an earlier rewrite removed it
                modified |= self.rewrite_node(model.graph, node)
        return ir.passes.PassResult(model, modified)

    @abc.abstractmethod
    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one node if it is of interest.

        Args:
            graph: The graph the node is in.
            node: The node.

        Returns:
            Whether the graph was changed.
        """

    def remark(self, node: ir.Node, what: str, why: str, numbers: Mapping[str, float] | None = None) -> None:
        """Records a decision on a node."""
        name, modality = node.name or node.op_type, modality_of(node)
        self.remarks.append(Remark(type(self).__name__, name, modality, what, why, numbers or {}))


def modality_of(node: ir.Node) -> str:
    """Returns the node's modality tag, empty where it has none."""
    return node.metadata_props.get(MODALITY_KEY, "")


def is_op(node: ir.Node, *op_types: str, domain: str = "") -> bool:
    """Tells whether a node is one of these operators of a domain."""
    return node.domain == domain and node.op_type in op_types


def integer(node: ir.Node, name: str, default: int) -> int:
    """Reads an integer attribute."""
    return node.attributes.get_int(name, default)


def number(node: ir.Node, name: str, default: float) -> float:
    """Reads a float attribute."""
    return node.attributes.get_float(name, default)


def static_shape(value: ir.Value, node: ir.Node) -> tuple[int, ...]:
    """Reads a static shape.

    Raises:
        PassError: The shape is unknown or has a symbolic dimension.
    """
    if value.shape is None or not value.shape.is_static():
        raise PassError(
            f"{node.op_type} needs a static shape of {value.name}",
            where=node.name or node.op_type,
            received=f"shape {value.shape}",
            remedy="capture the model with fixed sizes",
        )
    return tuple(int(size) for size in value.shape.numpy())


def has_shape_of(value: ir.Value | None, other: ir.Value) -> bool:
    """Tells whether two values are known to have the same static shape."""
    return (
        value is not None
        and value.shape is not None
        and value.shape == other.shape
        and value.shape.is_static()
    )


def small_constant(value: ir.Value | None, limit: int = 1024) -> Array | None:
    """Reads an initializer of at most `limit` elements; None for everything else."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size > limit:
        return None
    return np.asarray(tensor.numpy())


def scalar_constant(value: ir.Value | None) -> float | None:
    """Reads a constant of one element; None for everything else."""
    array = small_constant(value, limit=1)
    return None if array is None or array.size != 1 else float(array.reshape(()))


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """Returns an optional input, None where it is absent."""
    return node.inputs[index] if index < len(node.inputs) else None


def required_input(node: ir.Node, index: int) -> ir.Value:
    """Returns an input that must be there.

    Raises:
        PassError: The input is absent.
    """
    value = input_at(node, index)
    if value is None:
        raise PassError(
            f"{node.op_type} without input {index} is not supported",
            where=node.name or node.op_type,
            remedy="export the operator with separate inputs",
        )
    return value


def shared_initializer(graph: ir.Graph, name: str, tensor: ir.TensorProtocol) -> ir.Value:
    """Returns the initializer of that name, adding it where the graph does not have it yet."""
    if name not in graph.initializers:
        tensor.name = name
        type_, shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
        graph.register_initializer(ir.Value(name=name, type=type_, shape=shape, const_value=tensor))
    return graph.initializers[name]


class Builder:
    """Builds nodes in front of an anchor; they inherit its metadata and derive their names from it.

    Args:
        graph: The graph of the anchor.
        anchor: The node that is replaced or extended.
    """

    def __init__(self, graph: ir.Graph, anchor: ir.Node) -> None:
        self.graph = graph
        self._anchor = anchor
        self._stem = anchor.name or f"{anchor.op_type}/{anchor.outputs[0].name}"
        self._count = 0

    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        dtype: ir.DataType | None = None,
        shape: Sequence[int] | None = None,
        metadata: Mapping[str, str] | None = None,
        **attributes: Attribute,
    ) -> ir.Value:
        """Adds a node of the default domain with one output.

        Args:
            op_type: Operator.
            *inputs: Its inputs.
            dtype: Element type of the output; that of the first input where not given.
            shape: Shape of the output, where the caller knows it.
            metadata: Tags in addition to those of the anchor.
            **attributes: Attributes of the operator.

        Returns:
            The output.
        """
        name = self._next_name(op_type)
        first = next((value.dtype for value in inputs if value is not None), None)
        output = ir.Value(
            name=f"{name}/output",
            type=None if dtype is None and first is None else ir.TensorType(dtype or first),  # type: ignore[arg-type]
            shape=None if shape is None else ir.Shape(shape),
        )
        node = ir.Node(
            "",
            op_type,
            inputs,
            attributes=ir.convenience.convert_attributes(attributes),
            outputs=[output],
            name=name,
            metadata_props={**self._anchor.metadata_props, **(metadata or {})},
        )
        self.graph.insert_before(self._anchor, node)
        return output

    def constant(self, array: Array, hint: str) -> ir.Value:
        """Adds a small initializer that belongs to the anchor."""
        name = f"{self._next_name(hint)}{CONSTANT_SUFFIX}"
        return shared_initializer(self.graph, name, ir.tensor(np.asarray(array), name=name))

    def integers(self, values: Sequence[int], hint: str) -> ir.Value:
        """Adds a 1-D int64 initializer (a shape, axes, indices)."""
        return self.constant(np.asarray(values, np.int64), hint)

    def scalar(self, value: float, dtype: ir.DataType, hint: str) -> ir.Value:
        """Adds a 0-d initializer of a float type."""
        return self.constant(np.asarray(value, dtype.numpy()), hint)

    def reshape(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """Adds a Reshape to a static shape."""
        return self.op("Reshape", value, self.integers(shape, "shape"), shape=shape)

    def transpose(self, value: ir.Value, permutation: Sequence[int], shape: Sequence[int]) -> ir.Value:
        """Adds a Transpose; `shape` is that of its input."""
        moved = [shape[axis] for axis in permutation]
        return self.op("Transpose", value, perm=list(permutation), shape=moved)

    def replace_anchor(self, *outputs: ir.Value | None) -> None:
        """Puts the new values in the place of the anchor's outputs and removes the anchor.

        Names, types and shapes of the anchor's outputs are kept. None stands for an output nobody uses.
        """
        for old, new in zip(self._anchor.outputs, outputs, strict=False):
            if new is not None:
                replace_value(old, new)
        self.graph.remove(self._anchor, safe=True)

    def _next_name(self, hint: str) -> str:
        self._count += 1
        return f"{self._stem}/{hint}_{self._count}"


def replace_value(old: ir.Value, new: ir.Value) -> None:
    """Lets the freshly made value `new` take over the uses, name, type and shape of `old`."""
    name, old.name = old.name, None
    new.name = name
    new.type = old.type if old.type is not None else new.type
    new.shape = old.shape if old.shape is not None else new.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
