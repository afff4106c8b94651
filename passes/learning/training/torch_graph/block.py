"""Some consecutive nodes of a component as one `nn.Module`: the unit to wrap, offload or checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import onnx_ir as ir
import torch
from torch import nn

import passes.learning.training.torch_graph.operators  # noqa: F401 - registers the operators
from passes.learning.training.torch_graph.op_node import OpNode, describe
from passes.learning.training.torch_graph.registry import OPERATORS, find_operator
from passes.learning.training.torch_graph.straight_through import round_to
from passes.learning.training.torch_graph.weights import Kind, Weights, kind_of


@dataclasses.dataclass(frozen=True)
class Step:
    """One node of a block; its rule is looked up by name, so that modules can be pickled.

    Attributes:
        op: The node as plain data.
        rounds: Whether a narrow result is rounded.
    """

    op: OpNode
    rounds: bool

    def run(self, values: dict[str, torch.Tensor]) -> None:
        """Computes the node from the values so far and adds its outputs."""
        function = OPERATORS[self.op.op_type].function
        result = function(self.op, *(None if name is None else values[name] for name in self.op.inputs))
        outputs = [result] if isinstance(result, torch.Tensor) else result
        for name, dtype, value in zip(self.op.outputs, self.op.output_dtypes, outputs, strict=False):
            if name:
                values[name] = round_to(value, dtype) if self.rounds else value


class Block(nn.Module):
    """Runs nodes in order.

    Initializers are attributes of the block, under their names with ":" for "."; constants are buffers. A float16
    parameter is kept in the carrier's type and rounded whenever it is read.

    Args:
        nodes: Consecutive nodes, in topological order.
        component: Name of the component.
        weights: Makes or shares the parameters.
        wanted: Names of values that are used after the block.

    Attributes:
        steps: The nodes.
        input_names: Values the block takes from before it, in the order `forward` wants them.
        output_names: Values `forward` returns, in order.
        weight_names: Attribute → initializer name, for the parameters.

    Raises:
        PassError: An operator has no rule.
    """

    def __init__(
        self, nodes: Sequence[ir.Node], component: str, weights: Weights, wanted: frozenset[str]
    ) -> None:
        super().__init__()
        self.weight_names: dict[str, str] = {}
        self._initializers: dict[str, tuple[str, ir.DataType | None]] = {}
        self.steps = [
            self._step(node, component, weights) for node in nodes if node.op_type not in _CONSTANTS
        ]
        made = {name for step in self.steps for name in step.op.outputs if name}
        read = {name: None for step in self.steps for name in step.op.inputs if name is not None}
        self.input_names = tuple(name for name in read if name not in made and name not in self._initializers)
        self.output_names = tuple(sorted(made & wanted))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Computes the block.

        Args:
            inputs: In the order of `input_names`.

        Returns:
            In the order of `output_names`.
        """
        values = dict(zip(self.input_names, inputs, strict=True))
        for name, (attribute, dtype) in self._initializers.items():
            values[name] = round_to(getattr(self, attribute), dtype)
        for step in self.steps:
            step.run(values)
        return tuple(values[name] for name in self.output_names)

    def _step(self, node: ir.Node, component: str, weights: Weights) -> Step:
        operation = find_operator(node, component)
        kinds = [self._initializer(value, weights) for value in node.inputs]
        op = describe(node, component, weights.carrier, quantises_weight=kinds[:1] == [Kind.CODES])
        return Step(op, rounds=not operation.moves_data)

    def _initializer(self, value: ir.Value | None, weights: Weights) -> Kind | None:
        """Makes a constant input an attribute; returns its kind, None for a value that is computed."""
        if value is None or ir.convenience.get_const_tensor(value) is None:
            return None
        kind, name = kind_of(value) if value.is_initializer() else Kind.CONSTANT, value.name or ""
        attribute = name.replace(".", ":")
        if name not in self._initializers:
            self._initializers[name] = (attribute, value.dtype)
            if kind is Kind.CONSTANT:
                self.register_buffer(attribute, weights.constant(value), persistent=False)
            else:
                self.register_parameter(attribute, weights.parameter(value, kind))
                self.weight_names[attribute] = name
        return kind


_CONSTANTS = frozenset({"Constant"})
"""Operators without inputs; their values become buffers of the blocks that read them."""
