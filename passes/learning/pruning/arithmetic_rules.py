"""How axes pass through elementwise operators, products, convolutions, norms and reductions."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import input_at, integer, required_input, small_constant, static_shape
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.tracer import Axes, Tracer, rule

_ELEMENTWISE = (
    "Abs", "Add", "And", "Cast", "Clip", "Cos", "Div", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater",
    "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min",
    "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Sigmoid", "Sin", "Softplus", "Sqrt", "Sub", "Swish",
    "Tanh", "Where",
)  # fmt: skip
_SUMS = ("ReduceSum", "ReduceSumSquare", "ReduceL2", "ReduceL1")


@rule(*_ELEMENTWISE)
def trace_elementwise(tracer: Tracer, node: ir.Node) -> None:
    """Operands are aligned at the right; axes of extent 1 say nothing."""
    operands = [tracer.axes(value) for value in node.inputs if value is not None]
    tracer.set(node, broadcast(tracer, node, operands))


def broadcast(tracer: Tracer, node: ir.Node, operands: list[Axes]) -> list[Axis]:
    """Unifies aligned axes and returns those of the result."""
    rank = max(len(axes) for axes in operands)
    result: list[Axis] = [()] * rank
    for axes in operands:
        for offset, axis in enumerate(axes, start=rank - len(axes)):
            if axis and result[offset]:
                tracer.unify(result[offset], axis, node)
            result[offset] = result[offset] or axis
    return result


@rule("MatMul")
def trace_matmul(tracer: Tracer, node: ir.Node) -> None:
    """[..., M, K] · [..., K, N]: the two K are one."""
    left, right = (tracer.axes(required_input(node, index)) for index in (0, 1))
    if len(left) < 2 or len(right) < 2:
        tracer.give_up(node, "a product with a vector cannot be pruned")
        return
    tracer.unify(left[-1], right[-2], node)
    batch = broadcast(tracer, node, [left[:-2], right[:-2]])
    tracer.set(node, [*batch, left[-2], right[-1]])


@rule("Gemm")
def trace_gemm(tracer: Tracer, node: ir.Node) -> None:
    """A′ · B′ + C."""
    left, right = (tracer.axes(required_input(node, index)) for index in (0, 1))
    left = left[::-1] if integer(node, "transA", 0) else left
    right = right[::-1] if integer(node, "transB", 0) else right
    tracer.unify(left[1], right[0], node)
    result: Axes = (left[0], right[1])
    bias = input_at(node, 2)
    tracer.set(node, result if bias is None else broadcast(tracer, node, [result, tracer.axes(bias)]))


@rule("Conv")
def trace_conv(tracer: Tracer, node: ir.Node) -> None:
    """[N, C, …] * [O, C, …] → [N, O, …]; a depthwise convolution keeps its channels."""
    x, weight = (tracer.axes(required_input(node, index)) for index in (0, 1))
    groups = integer(node, "group", 1)
    shape = static_shape(required_input(node, 1), node)
    if groups == 1:
        tracer.unify(x[1], weight[1], node)
    elif groups == shape[0] and shape[1] == 1:
        tracer.unify(x[1], weight[0], node)
    else:
        tracer.fix([x[1], weight[0], weight[1]], node, "channels of a grouped convolution stay")
    bias = input_at(node, 2)
    if bias is not None:
        tracer.unify(weight[0], tracer.axes(bias)[0], node)
    tracer.fix(weight[2:], node, "a kernel stays whole")
    _set_spatial(tracer, node, [x[0], weight[0]])


@rule("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
def trace_pooling(tracer: Tracer, node: ir.Node) -> None:
    """Keeps batch and channels."""
    _set_spatial(tracer, node, list(tracer.axes(required_input(node, 0))[:2]))


@rule("BatchNormalization")
def trace_batch_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Each channel has its own gain, bias, mean and variance."""
    x = tracer.axes(required_input(node, 0))
    for index in range(1, 5):
        tracer.unify(x[1], tracer.axes(required_input(node, index))[0], node)
    tracer.set(node, x)


@rule("LayerNormalization", "RMSNormalization")
def trace_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Normalises the last axis; `cut` keeps the divisor of the statistics."""
    x = tracer.axes(required_input(node, 0))
    if integer(node, "axis", -1) % len(x) != len(x) - 1:
        tracer.give_up(node, "only a norm over the last axis can be pruned")
        return
    for value in node.inputs[1:]:
        if value is not None:
            tracer.unify(x[-1], tracer.axes(value)[-1], node)
    tracer.averages.append((node, x[-1]))
    tracer.set(node, x)


@rule("Softmax", "LogSoftmax")
def trace_softmax(tracer: Tracer, node: ir.Node) -> None:
    """What is normalised to one stays whole."""
    x = tracer.axes(required_input(node, 0))
    axis = integer(node, "axis", -1)
    if not -len(x) <= axis < len(x):
        raise PassError(
            f"the axis of a {node.op_type} is none of its input's",
            where=node.name or node.op_type,
            received=f"axis {axis} of {len(x)}",
            remedy="correct the model",
        )
    tracer.fix([x[axis]], node, "a softmax stays whole")
    tracer.set(node, x)


@rule("ReduceMean", "ReduceMax", "ReduceMin", *_SUMS)
def trace_reduction(tracer: Tracer, node: ir.Node) -> None:
    """Sums and means over pruned channels are those over zeros; a mean keeps its divisor."""
    x = tracer.axes(required_input(node, 0))
    constant = small_constant(input_at(node, 1))
    listed = node.attributes.get_ints("axes", ()) if constant is None else constant.reshape(-1).tolist()
    reduced = {int(axis) % len(x) for axis in listed} or set(range(len(x)))
    for axis in sorted(reduced):
        if node.op_type == "ReduceMean":
            tracer.averages.append((node, x[axis]))
        elif node.op_type not in _SUMS:
            tracer.fix([x[axis]], node, "an extremum over channels stays")
    keep = bool(integer(node, "keepdims", 1))
    tracer.set(node, [() if i in reduced else axis for i, axis in enumerate(x) if keep or i not in reduced])


@rule("QuantizeLinear", "DequantizeLinear")
def trace_quantization(tracer: Tracer, node: ir.Node) -> None:
    """Scales and zero points lie along `axis`, if there is more than one."""
    x = tracer.axes(required_input(node, 0))
    for value in node.inputs[1:]:
        axes = () if value is None else tracer.axes(value)
        if len(axes) == 1:
            tracer.unify(x[integer(node, "axis", 1)], axes[0], node)
        elif axes:
            tracer.give_up(node, "scales of blocks stay")
            return
    tracer.set(node, x)


def _set_spatial(tracer: Tracer, node: ir.Node, kept: list[Axis]) -> None:
    shape = static_shape(node.outputs[0], node)
    tracer.set(node, [*kept, *tracer.fresh(shape[2:], tracer.reason(node, "picture axes stay"))])
