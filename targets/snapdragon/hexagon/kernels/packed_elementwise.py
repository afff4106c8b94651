"""Element-wise kernels: 128 codes at a time, whatever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_scale import scaled_equally
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.addition import FRACTION_BITS, Addition
from targets.snapdragon.hexagon.operations.lookup import Lookup
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.program.layout import BlockLayout

_Words = Callable[[Sequence[Any]], Any]


def packed_addition(operation: Addition) -> KernelCode:
    """Sum of two tensors."""

    def body(writer: KernelWriter) -> None:
        def add(words: Sequence[Any]) -> Any:
            left, right = (
                scaled_equally(word - hvx.splat(source.zero_point), scale)
                for word, source, scale in zip(words, operation.sources, operation.scales, strict=True)
            )
            return (left + right + hvx.splat(1 << (FRACTION_BITS - 1))) >> hvx.splat(FRACTION_BITS)

        _each_register(writer, operation, 2, _finished(operation, add))

    return write_kernel("addition", body)


def packed_multiplication(operation: Multiplication) -> KernelCode:
    """Product of two tensors."""

    def body(writer: KernelWriter) -> None:
        def multiply(words: Sequence[Any]) -> Any:
            left, right = (
                word - hvx.splat(source.zero_point)
                for word, source in zip(words, operation.sources, strict=True)
            )
            return scaled_equally(left * right, operation.scale)

        _each_register(writer, operation, 2, _finished(operation, multiply))

    return write_kernel("multiplication", body)


def packed_requantization(operation: Requantization) -> KernelCode:
    """Change of scale, with or without a ReLU."""

    def body(writer: KernelWriter) -> None:
        def requantize(words: Sequence[Any]) -> Any:
            return scaled_equally(words[0] - hvx.splat(operation.source.zero_point), operation.scale)

        _each_register(writer, operation, 1, _finished(operation, requantize))

    return write_kernel("requantization", body)


def packed_lookup(operation: Lookup) -> KernelCode:
    """Table of 256 codes in two registers."""

    def body(writer: KernelWriter) -> None:
        size = BlockLayout(*operation.output.extents).nbytes // 4
        codes = writer.buffer("int32", size)
        tables = writer.words(hvx.lookup_registers(operation.table))
        result = writer.buffer("int32", size)
        with T.serial(0, size // hvx.LANES) as register:
            at = register * hvx.LANES
            halves = [hvx.load(tables, 0), hvx.load(tables, hvx.LANES)]
            hvx.store(result, at, hvx.lookup(hvx.load(codes, at), halves))

    return write_kernel("lookup", body)


def _finished(operation: Addition | Multiplication | Requantization, compute: _Words) -> _Words:
    """Adds the zero point and applies the least code; `narrow` saturates."""

    def finish(words: Sequence[Any]) -> Any:
        codes = compute(words) + hvx.splat(operation.output.zero_point)
        return T.max(codes, hvx.splat(operation.minimum)) if operation.minimum else codes

    return finish


def _each_register(
    writer: KernelWriter, operation: Addition | Multiplication | Requantization, inputs: int, compute: _Words
) -> None:
    size = BlockLayout(*operation.output.extents).nbytes // 4
    buffers = [writer.buffer("int32", size) for _ in range(inputs)]
    result = writer.buffer("int32", size)
    with T.serial(0, size // hvx.LANES) as register:
        at = register * hvx.LANES
        wide = [hvx.widen(hvx.load(buffer, at)) for buffer in buffers]
        hvx.store(result, at, hvx.narrow([compute(words) for words in zip(*wide, strict=True)]))
