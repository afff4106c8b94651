"""The layout pass: every activation in blocks of 128 bytes, weights packed at compile time.

Inputs are packed once and outputs unpacked once. Between them the kernels hand blocks to each other. A transposition
that only moves the channel axis costs nothing, because blocks do not know the graph's order of the axes.
"""

from __future__ import annotations

from targets.snapdragon.hexagon.kernels.moves import pack, pad, transpose, unpack
from targets.snapdragon.hexagon.kernels.registry import PACKED_KERNELS, WINDOW_KERNELS
from targets.snapdragon.hexagon.kernels.writer import KernelCode
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.program.layout import COLUMNS, BlockLayout, round_up
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.step import Step, StepSequence
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def packed_steps(program: IntegerProgram) -> StepSequence:
    """Packs the inputs, runs the operations on blocks, unpacks the outputs."""
    writer = _Pass()
    for tensor in program.inputs:
        writer.pack(tensor, tensor.name, "input")
    for operation in program.operations:
        writer.operation(operation)
    for tensor in program.outputs:
        writer.unpack(tensor, tensor.name, "output")
    return StepSequence(tuple(writer.steps), writer.sizes)


class _Pass:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.sizes: dict[str, int] = {}
        self._buffers: dict[str, str] = {}

    def pack(self, tensor: QuantizedTensor, source: str, operation: str) -> None:
        self.sizes[source] = tensor.elements
        self._step(pack(tensor), (source,), tensor, operation)

    def unpack(self, tensor: QuantizedTensor, target: str, operation: str) -> None:
        self.sizes[target] = tensor.elements
        self.steps.append(Step(unpack(tensor), (self._buffers[tensor.name],), target, operation))

    def operation(self, operation: Operation) -> None:
        sources = tuple(self._buffers[source.name] for source in operation.sources)
        if isinstance(operation, Regrouping):
            self._regroup(operation)
        elif isinstance(operation, (Convolution, MaxPool)):
            padded = _padded_layout(operation)
            source = self._pad(operation, padded, sources[0])
            window = WINDOW_KERNELS[type(operation)](operation, padded)
            self._step(window, (source,), operation.output, operation.name)
        else:
            kernel = PACKED_KERNELS[type(operation)](operation)
            self._step(kernel, sources, operation.output, operation.name)

    def _step(
        self, kernel: KernelCode, sources: tuple[str, ...], output: QuantizedTensor, operation: str
    ) -> None:
        buffer = f"{output.name}.blocks"
        self.sizes[buffer] = BlockLayout(*output.extents).nbytes
        self._buffers[output.name] = buffer
        self.steps.append(Step(kernel, sources, buffer, operation))

    def _regroup(self, operation: Regrouping) -> None:
        source, output = operation.source, operation.output
        if operation.keeps_planes:
            self._buffers[output.name] = self._buffers[source.name]
            return
        buffer = f"{output.name}.source"
        self.unpack(source, buffer, operation.name)
        if operation.permutation:
            buffer, unpacked = f"{output.name}.transposed", buffer
            self.sizes[buffer] = source.elements
            self.steps.append(
                Step(transpose(source, operation.permutation), (unpacked,), buffer, operation.name)
            )
        self.pack(output, buffer, operation.name)

    def _pad(self, operation: Convolution | MaxPool, padded: BlockLayout, source: str) -> str:
        layout = BlockLayout(*operation.source.extents)
        if padded == layout:
            return source
        buffer = f"{operation.output.name}.padded"
        self.sizes[buffer] = padded.nbytes
        kernel = pad(layout, padded, operation.pads[0], operation.pads[1], operation.padding_code)
        self.steps.append(Step(kernel, (source,), buffer, operation.name))
        return buffer


def _padded_layout(operation: Convolution | MaxPool) -> BlockLayout:
    """The input with its padding, and with columns for the output columns that fill up a row."""
    layout, output = BlockLayout(*operation.source.extents), BlockLayout(*operation.output.extents)
    last = [
        (extent - 1) * stride + (kernel - 1) * dilation + 1
        for extent, stride, kernel, dilation in zip(
            (output.height, output.columns),
            operation.strides,
            operation.kernel,
            operation.dilations,
            strict=True,
        )
    ]
    if not any(operation.pads) and last[1] <= layout.columns and last[0] <= layout.height:
        return layout
    top, left, bottom, right = operation.pads
    height = max(layout.height + top + bottom, last[0])
    width = max(layout.width + left + right, last[1])
    return BlockLayout(layout.channels, height, round_up(width, COLUMNS))
