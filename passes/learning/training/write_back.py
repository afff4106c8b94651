"""Puts trained weights into the graphs they came from."""

from __future__ import annotations

import onnx_ir as ir
import torch

from passes.core.errors import PassError
from passes.core.rewrite import input_at
from passes.learning.training.torch_graph.element_types import from_carrier
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.op_node import describe
from passes.learning.training.torch_graph.operators.quantize import quantize_weight
from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.torch_graph.straight_through import round_to
from passes.learning.training.torch_graph.weights import Kind, Weights, kind_of
from program.lazy_tensor import BlockwiseTensor, static_shape
from program.program import Array, Program


def write_back(model: ir.Model, module: TorchComponent) -> None:
    """Gives a graph the weights of the module made from it, in place: same nodes, same names.

    Initializers become tensors that read the module's parameters block by block when they are written: train to the
    end before saving. Quantised weights are the codes that `forward` computes.

    Args:
        model: The graph the module was made from, or an equal one.
        module: The trained module.

    Raises:
        PassError: The graph lacks an initializer of the module, or has it in another shape.
    """
    initializers, weights = model.graph.initializers, module.named_weights()
    for name, parameter in weights.items():
        _check(initializers.get(name), parameter, name, module.name)
    for name, parameter in weights.items():
        value = initializers[name]
        if kind_of(value) is Kind.CODES:
            value.const_value = _codes(value, parameter, weights)
        else:
            value.const_value = _floats(value, parameter)


def write_back_program(program: Program, module: TorchProgram) -> None:
    """Gives every component of a program that the module holds its weights, in place; see `write_back`."""
    for name in module.components:
        write_back(program.components[name].model, module.component(name))


def _check(value: ir.Value | None, parameter: torch.Tensor, name: str, component: str) -> None:
    shape = None if value is None or value.const_value is None else static_shape(value.const_value)
    if shape != tuple(parameter.shape):
        raise PassError(
            "the trained weights do not fit the graph",
            where=f"component {component}, initializer {name}",
            received=f"{list(parameter.shape)} for {'nothing' if shape is None else list(shape)}",
            remedy="write back into the graph the module was made from",
        )


def _floats(value: ir.Value, parameter: torch.Tensor) -> BlockwiseTensor:
    dtype, shape = value.dtype or ir.DataType.FLOAT, tuple(parameter.shape)

    def read(start: int, stop: int) -> Array:
        return from_carrier(parameter[start:stop] if shape else parameter, dtype)

    return BlockwiseTensor(read, dtype, shape, name=value.name or "")


def _codes(
    value: ir.Value, parameter: torch.Tensor, weights: dict[str, torch.nn.Parameter]
) -> ir.TensorProtocol:
    node = next(iter(value.uses())).node
    dtype, shape = value.dtype or ir.DataType.UNDEFINED, tuple(parameter.shape)
    op = describe(node, "", parameter.dtype)
    # kept by themselves: the node may be replaced before the codes are read
    scale_value, zero_value = input_at(node, 1), input_at(node, 2)
    zero_point = None if zero_value is None else Weights().constant(zero_value)
    if dtype.bitwidth < 8:  # two codes a byte, over the ends of rows

        @torch.no_grad()
        def read_all() -> ir.TensorProtocol:
            scale = _scale(scale_value, weights, parameter.dtype)
            codes = quantize_weight(op, parameter.detach().cpu(), scale, zero_point)
            return ir.tensor(from_carrier(codes, dtype), dtype=dtype, name=value.name)

        return ir.LazyTensor(read_all, dtype, ir.Shape(shape), name=value.name)

    @torch.no_grad()
    def read(start: int, stop: int) -> Array:
        scale = _scale(scale_value, weights, parameter.dtype)
        master = parameter.detach().cpu()
        if op.integer("block_size", 0):  # a block may reach over several calls
            return from_carrier(quantize_weight(op, master, scale, zero_point)[start:stop], dtype)
        rows = slice(start, stop) if op.axis(1, len(shape)) == 0 else slice(None)
        zero = None if zero_point is None else _channels(zero_point, rows)
        return from_carrier(quantize_weight(op, master[start:stop], _channels(scale, rows), zero), dtype)

    return BlockwiseTensor(read, dtype, shape, name=value.name or "")


def _scale(
    value: ir.Value | None, weights: dict[str, torch.nn.Parameter], carrier: torch.dtype
) -> torch.Tensor:
    """Returns a scale as `forward` reads it, on the processor."""
    name = "" if value is None else value.name or ""
    if value is not None and name in weights:
        return round_to(weights[name].detach().cpu(), value.dtype)
    return Weights(carrier).constant(value)


def _channels(values: torch.Tensor, rows: slice) -> torch.Tensor:
    return values if values.numel() == 1 else values[rows]
