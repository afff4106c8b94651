"""Element-wise kernels in the graph's own order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import plain
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.addition import FRACTION_BITS, Addition
from targets.snapdragon.hexagon.operations.lookup import Lookup
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.operations.requantization import Requantization

_Operation = Addition | Multiplication | Requantization
_Compute = Callable[[Sequence[Any]], Any]


def plain_addition(operation: Addition) -> KernelCode:
    """Sum of two tensors."""

    def body(writer: KernelWriter) -> None:
        buffers = _inputs(writer, operation)
        scales = [plain.PlainScale(writer, scale) for scale in operation.scales]

        def add(values: Sequence[Any]) -> Any:
            left, right = (scale.apply(value, 0) for scale, value in zip(scales, values, strict=True))
            return (left + right + T.int32(1 << (FRACTION_BITS - 1))) >> T.int32(FRACTION_BITS)

        _each_element(writer, operation, buffers, add)

    return write_kernel("addition", body)


def plain_multiplication(operation: Multiplication) -> KernelCode:
    """Product of two tensors."""

    def body(writer: KernelWriter) -> None:
        buffers = _inputs(writer, operation)
        scale = plain.PlainScale(writer, operation.scale)
        _each_element(writer, operation, buffers, lambda values: scale.apply(values[0] * values[1], 0))

    return write_kernel("multiplication", body)


def plain_requantization(operation: Requantization) -> KernelCode:
    """Change of scale, with or without a ReLU."""

    def body(writer: KernelWriter) -> None:
        buffers = _inputs(writer, operation)
        scale = plain.PlainScale(writer, operation.scale)
        _each_element(writer, operation, buffers, lambda values: scale.apply(values[0], 0))

    return write_kernel("requantization", body)


def plain_lookup(operation: Lookup) -> KernelCode:
    """Table of 256 codes in memory."""

    def body(writer: KernelWriter) -> None:
        codes = writer.buffer("uint8", operation.source.elements)
        table = writer.constant(operation.table)
        result = writer.buffer("uint8", operation.output.elements)
        with T.serial(0, operation.output.elements) as element:
            T.buffer_store(result, table[plain.code(codes, element)], [element])

    return write_kernel("lookup", body)


def _inputs(writer: KernelWriter, operation: _Operation) -> list[Any]:
    return [writer.buffer("uint8", source.elements) for source in operation.sources]


def _each_element(
    writer: KernelWriter, operation: _Operation, buffers: Sequence[Any], compute: _Compute
) -> None:
    result = writer.buffer("uint8", operation.output.elements)
    with T.serial(0, operation.output.elements) as element:
        values = [
            plain.code(buffer, element) - source.zero_point
            for buffer, source in zip(buffers, operation.sources, strict=True)
        ]
        value = compute(values) + operation.output.zero_point
        T.buffer_store(result, plain.clamp(value, operation.minimum), [element])
