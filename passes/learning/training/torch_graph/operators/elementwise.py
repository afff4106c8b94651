"""Arithmetic and elementary functions, with numpy's broadcasting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import onnx_ir as ir
import torch
from torch import Tensor

from passes.learning.training.torch_graph.element_types import FLOATS, FP8, plain_torch_type
from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import Gradient, operator
from passes.learning.training.torch_graph.straight_through import round_to, round_to_codes

_UNARY: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs, "Acos": torch.acos, "Asin": torch.asin, "Atan": torch.atan, "Cos": torch.cos, "Erf": torch.erf,
    "Exp": torch.exp, "Log": torch.log, "Neg": torch.neg, "Reciprocal": torch.reciprocal, "Sin": torch.sin,
    "Sqrt": torch.sqrt, "Tan": torch.tan,
}  # fmt: skip

_STEPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Ceil": torch.ceil, "Floor": torch.floor, "Round": torch.round, "Sign": torch.sign,
}  # fmt: skip
"""Piecewise constant: their gradient is zero."""

_BINARY: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add, "Mul": torch.mul, "Sub": torch.sub,
}  # fmt: skip

_FOLDED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Max": torch.maximum, "Min": torch.minimum, "Sum": torch.add,
}  # fmt: skip


def _register_unary(name: str, function: Callable[[Tensor], Tensor]) -> None:
    operator(name)(lambda _, x: function(x))


def _register_binary(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    operator(name)(lambda _, x, y: function(x, y))


def _register_folded(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    operator(name)(lambda _, *operands: functools.reduce(function, operands))


for _name, _function in (*_UNARY.items(), *_STEPS.items()):
    _register_unary(_name, _function)
for _name, _pair in _BINARY.items():
    _register_binary(_name, _pair)
for _name, _pair in _FOLDED.items():
    _register_folded(_name, _pair)


@operator("Div")
def divide(_: OpNode, x: Tensor, y: Tensor) -> Tensor:
    """Quotient; integers are truncated towards zero."""
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


@operator("Mod")
def modulo(op: OpNode, x: Tensor, y: Tensor) -> Tensor:
    """Remainder: sign of the divisor, or of the dividend with `fmod`."""
    return torch.fmod(x, y) if op.integer("fmod", 0) else torch.remainder(x, y)


@operator("Pow")
def power(_: OpNode, x: Tensor, y: Tensor) -> Tensor:
    """The power xʸ, in the type of x."""
    return torch.pow(x, y).to(x.dtype)


@operator("Clip")
def clip(_: OpNode, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """min(max(x, low), high); either bound may be missing."""
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("Where", moves_data=True)
def where(_: OpNode, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Chooses x where the condition holds, else y."""
    return torch.where(condition, x, y)


@operator("Cast", gradient=Gradient.EXACT, moves_data=True)
def cast(op: OpNode, x: Tensor) -> Tensor:
    """To another element type: narrow floats are rounded straight-through, FP8 saturates, bool is "not zero"."""
    dtype = ir.DataType(op.integer("to", int(ir.DataType.FLOAT)))
    if dtype in FLOATS or dtype in FP8:
        wide = x if x.is_floating_point() else x.to(op.carrier)
        return round_to_codes(wide, dtype) if dtype in FP8 else round_to(wide, dtype)
    target = plain_torch_type(dtype)
    if target is None:
        raise op.unsupported(f"type {dtype.name}")
    return x.to(target)


@operator("Identity", "Dropout", moves_data=True)
def identity(_: OpNode, x: Tensor, *_unused: Tensor | None) -> Tensor:
    """The operand itself; the exported Dropout does nothing, as at inference."""
    return x
