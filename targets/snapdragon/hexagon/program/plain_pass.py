"""Kernels for the graph's own layout: what a compiler makes of the program without the layout pass."""

from __future__ import annotations

from targets.snapdragon.hexagon.kernels.moves import transpose
from targets.snapdragon.hexagon.kernels.registry import PLAIN_KERNELS
from targets.snapdragon.hexagon.kernels.writer import KernelCode
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.step import Step, StepSequence


def plain_steps(program: IntegerProgram) -> StepSequence:
    """One step an operation; a change of shape alone moves nothing."""
    buffers = {tensor.name: tensor.name for tensor in program.inputs}
    sizes = {tensor.name: tensor.elements for tensor in program.inputs}
    steps = []
    for operation in program.operations:
        sources = tuple(buffers[source.name] for source in operation.sources)
        output = operation.output
        if isinstance(operation, Regrouping) and not operation.permutation and output not in program.outputs:
            buffers[output.name] = sources[0]
            continue
        buffers[output.name] = output.name
        sizes[output.name] = output.elements
        steps.append(Step(_kernel(operation), sources, output.name, operation.name))
    return StepSequence(tuple(steps), sizes)


def _kernel(operation: Operation) -> KernelCode:
    if isinstance(operation, Regrouping):
        axes = operation.permutation or tuple(range(len(operation.source.shape)))
        return transpose(operation.source, axes)
    return PLAIN_KERNELS[type(operation)](operation)
