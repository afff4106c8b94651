"""What a static program's caller has to know of its codes, as the strings an artifact records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from program.program import TensorSpec
from targets.errors import TargetError
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

_SCALE, _ZERO_POINT = "scale of ", "zero point of "


def encodings(program: IntegerProgram) -> dict[str, str]:
    """Returns scale and zero point of every input and output of a program, by readable names."""
    tensors = [*program.inputs, *program.outputs]
    scales = {f"{_SCALE}{tensor.name}": repr(tensor.scale) for tensor in tensors}
    return scales | {f"{_ZERO_POINT}{tensor.name}": str(tensor.zero_point) for tensor in tensors}


def bound_tensors(specs: Sequence[TensorSpec], binding: Mapping[str, str]) -> tuple[QuantizedTensor, ...]:
    """Restores the tensors of a program among the inputs or outputs of its graph; others are left out.

    Args:
        specs: Of the graph, in order.
        binding: From `encodings`.

    Raises:
        TargetError: The binding is damaged.
    """
    tensors = []
    for spec in specs:
        if f"{_SCALE}{spec.name}" not in binding:
            continue  # the program does not read it
        try:
            scale = float(binding[f"{_SCALE}{spec.name}"])
            zero_point = int(binding[f"{_ZERO_POINT}{spec.name}"])
        except (KeyError, ValueError) as error:
            raise TargetError(
                "scale or zero point of a program's tensor cannot be read",
                where=spec.name,
                received=str(error),
                remedy="compile the model again",
            ) from error
        tensors.append(QuantizedTensor(spec.name, spec.shape, len(spec.shape) - 1, scale, zero_point))
    return tuple(tensors)


def coded_names(specs: Sequence[TensorSpec]) -> frozenset[str]:
    """Returns the names of inputs and outputs that are codes in the graph too."""
    return frozenset(spec.name for spec in specs if spec.dtype == ir.DataType.UINT8)
