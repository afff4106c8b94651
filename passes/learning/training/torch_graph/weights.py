"""A program's initializers as torch parameters and buffers, each made once, whatever number of components reads it."""

from __future__ import annotations

import enum

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from passes.core.rewrite import input_at, is_op
from passes.learning.training.torch_graph.element_types import FLOATS, FP8, INTEGER_LIMITS, to_carrier
from passes.learning.training.torch_graph.op_node import describe
from passes.learning.training.torch_graph.operators.quantize import decode


class Kind(enum.Enum):
    """What an initializer is to training."""

    WEIGHT = "weight"
    """A float weight."""
    CODES = "codes"
    """A quantised weight that DequantizeLinear alone reads: trained as a float master weight."""
    SCALE = "scale"
    """A scale of QuantizeLinear or DequantizeLinear: fixed unless scales are to be learned."""
    CONSTANT = "constant"
    """Everything else: shapes, masks, zero points, a component's own constants (`<component>/…`)."""


def kind_of(value: ir.Value) -> Kind:
    """Tells what an initializer is, from its type, its name and who reads it."""
    uses = [(use.node, use.idx) for use in value.uses()]
    if value.dtype in FLOATS:
        if any(index == 1 and is_op(node, "QuantizeLinear", "DequantizeLinear") for node, index in uses):
            return Kind.SCALE
        return Kind.CONSTANT if "/" in (value.name or "") else Kind.WEIGHT
    decoded = bool(uses) and all(index == 0 and is_op(node, "DequantizeLinear") for node, index in uses)
    quantised = value.dtype in FP8 or value.dtype in INTEGER_LIMITS
    return Kind.CODES if decoded and quantised else Kind.CONSTANT


class Weights:
    """Parameters by initializer name.

    Args:
        carrier: Type of the parameters: float32, or float64 to check gradients.
        learn_scales: Whether scales get gradients.

    Attributes:
        parameters: The ones made so far.
    """

    def __init__(self, carrier: torch.dtype = torch.float32, learn_scales: bool = False) -> None:
        self.carrier = carrier
        self.learn_scales = learn_scales
        self.parameters: dict[str, nn.Parameter] = {}

    def parameter(self, value: ir.Value, kind: Kind) -> nn.Parameter:
        """Returns the parameter of a weight, of codes or of a scale, reading its bytes the first time."""
        name = value.name or ""
        if name not in self.parameters:
            values = self._decoded(value) if kind is Kind.CODES else self.constant(value)
            trained = kind is not Kind.SCALE or self.learn_scales
            self.parameters[name] = nn.Parameter(values, requires_grad=trained)
        return self.parameters[name]

    def constant(self, value: ir.Value | None) -> torch.Tensor:
        """Reads a constant; floats and FP8 codes come in the carrier's type."""
        tensor = ir.convenience.get_const_tensor(value) if value is not None else None
        if tensor is None:
            raise ValueError(f"{value} is not a constant")
        return to_carrier(np.asarray(tensor.numpy()), self.carrier)

    def _decoded(self, value: ir.Value) -> torch.Tensor:
        node = next(iter(value.uses())).node
        scale, zero_point = self.constant(node.inputs[1]), input_at(node, 2)
        zero = None if zero_point is None else self.constant(zero_point)
        return decode(describe(node, "", self.carrier), self.constant(value), scale, zero).contiguous()
