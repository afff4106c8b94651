"""Puts constant codes where activations lie, once a run."""

from __future__ import annotations

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.constant import Constant
from targets.snapdragon.hexagon.program.layout import BlockLayout


def packed_constant(operation: Constant) -> KernelCode:
    """The blocks are made at compile time and copied 128 bytes at a time."""
    layout = BlockLayout(*operation.output.extents)

    def body(writer: KernelWriter) -> None:
        blocks = writer.words(layout.pack(operation.reference()))
        result = writer.buffer("int32", layout.nbytes // 4)
        with T.serial(0, layout.nbytes // 128) as register:
            at = register * hvx.LANES
            hvx.store(result, at, hvx.load(blocks, at))

    return write_kernel("constant", body)


def plain_constant(operation: Constant) -> KernelCode:
    """Byte by byte, in the graph's order."""

    def body(writer: KernelWriter) -> None:
        codes = writer.constant(operation.codes)
        result = writer.buffer("uint8", operation.output.elements)
        with T.serial(0, operation.output.elements) as element:
            T.buffer_store(result, codes[element], [element])

    return write_kernel("constant", body)
