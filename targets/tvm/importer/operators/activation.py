"""Activation functions, each rounded to the graph's element type once."""

from __future__ import annotations

import math as numbers

from tvm import tirx

from targets.tvm.importer import math
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand
from targets.tvm.importer.operators.broadcast import elementwise
from targets.tvm.importer.registry import converter


def _zero() -> tirx.Expr:
    return math.constant(0.0)


def _clamp_unit(x: tirx.Expr) -> tirx.Expr:
    return math.keep_nan(x, tirx.min(tirx.max(x, _zero()), math.constant(1.0)))


@converter("Relu")
def convert_relu(call: NodeCall) -> Operand:
    """max(x, 0)."""
    return elementwise(
        call, lambda x: tirx.Select(x < tirx.const(0, x.ty.dtype), tirx.const(0, x.ty.dtype), x)
    )


@converter("Sigmoid")
def convert_sigmoid(call: NodeCall) -> Operand:
    """1 / (1 + e⁻ˣ)."""
    return elementwise(call, math.sigmoid)


@converter("Tanh")
def convert_tanh(call: NodeCall) -> Operand:
    """Hyperbolic tangent."""
    return elementwise(call, math.tanh)


@converter("Gelu")
def convert_gelu(call: NodeCall) -> Operand:
    """x·Φ(x), by erf or by the tanh approximation."""
    half, one = math.constant(0.5), math.constant(1.0)
    if call.text("approximate", "none") == "tanh":
        scale, cubic = math.constant(numbers.sqrt(2.0 / numbers.pi)), math.constant(0.044715)
        return elementwise(call, lambda x: half * x * (one + math.tanh(scale * (x + cubic * x * x * x))))
    root = math.constant(numbers.sqrt(0.5))
    return elementwise(call, lambda x: half * x * (one + math.erf(x * root)))


@converter("Swish", "Silu")
def convert_swish(call: NodeCall) -> Operand:
    """x·sigmoid(αx)."""
    alpha = math.constant(call.number("alpha", 1.0))
    return elementwise(call, lambda x: x * math.sigmoid(alpha * x))


@converter("HardSigmoid")
def convert_hard_sigmoid(call: NodeCall) -> Operand:
    """clip(αx + β, 0, 1)."""
    alpha, beta = math.constant(call.number("alpha", 0.2)), math.constant(call.number("beta", 0.5))
    return elementwise(call, lambda x: _clamp_unit(alpha * x + beta))


@converter("HardSwish")
def convert_hard_swish(call: NodeCall) -> Operand:
    """x·clip(x/6 + ½, 0, 1)."""
    sixth, half = math.constant(1.0 / 6.0), math.constant(0.5)
    return elementwise(call, lambda x: x * _clamp_unit(x * sixth + half))


@converter("LeakyRelu")
def convert_leaky_relu(call: NodeCall) -> Operand:
    """x, or αx below zero."""
    alpha = math.constant(call.number("alpha", 0.01))
    return elementwise(call, lambda x: tirx.Select(x < _zero(), alpha * x, x))


@converter("PRelu")
def convert_prelu(call: NodeCall) -> Operand:
    """x, or slope·x below zero."""
    return elementwise(call, lambda x, slope: tirx.Select(x < _zero(), slope * x, x))


@converter("Elu")
def convert_elu(call: NodeCall) -> Operand:
    """x, or α(eˣ − 1) below zero."""
    alpha = math.constant(call.number("alpha", 1.0))
    return elementwise(
        call, lambda x: tirx.Select(x < _zero(), alpha * (math.exp(x) - math.constant(1.0)), x)
    )


@converter("Softplus")
def convert_softplus(call: NodeCall) -> Operand:
    """log(1 + eˣ), written so that a large x does not overflow."""

    def softplus(x: tirx.Expr) -> tirx.Expr:
        decay = math.exp(_zero() - tirx.abs(x))
        return tirx.max(x, _zero()) + math.log(math.constant(1.0) + decay)

    return elementwise(call, softplus)
