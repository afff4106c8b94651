"""Between a quantised program in training and the float weights it was made from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from passes.learning.training.torch_graph.element_types import FLOATS, from_carrier, to_carrier
from passes.learning.training.torch_graph.program import TorchProgram
from program.lazy_tensor import static_shape
from program.program import Program

FloatWeights = Mapping[str, ir.TensorProtocol]
"""Initializer name → its tensor, still unread."""


def float_weights(program: Program) -> dict[str, ir.TensorProtocol]:
    """Returns the float initializers of a program, to be kept before it is quantised in place."""
    return {
        name: value.const_value
        for component in program.components.values()
        for name, value in component.model.graph.initializers.items()
        if value.const_value is not None and value.dtype in FLOATS
    }


def restore_master_weights(module: TorchProgram, weights: FloatWeights) -> int:
    """Gives the modules of a quantised program the weights it was made from.

    A parameter is matched with the tensor of its own name, or of its name without endings: the codes `w.e4m3` with
    `w`. One whose tensor is not there, or has another shape, stays as the graph has it, and so do scales.

    Args:
        module: Of the quantised program.
        weights: From `float_weights`.

    Returns:
        How many parameters were given theirs.
    """
    restored = 0
    for name, parameter in module.named_weights().items():
        source = _source_name(name, weights) if not name.endswith(".scale") else None
        if source is None or static_shape(weights[source]) != tuple(parameter.shape):
            continue
        with torch.no_grad():
            parameter.copy_(to_carrier(np.asarray(weights[source].numpy()), parameter.dtype))
        restored += 1
    return restored


def write_master_weights(module: TorchProgram, program: Program) -> int:
    """Gives a float program the weights that its quantised form has learned, before their rounding, in place.

    Parameters are matched as `restore_master_weights` does.

    Args:
        module: Of the quantised program, trained.
        program: The float program that it was made from; its graphs keep their element types.

    Returns:
        How many initializers were given theirs.
    """
    weights = float_weights(program)
    learned = {}
    for name, parameter in module.named_weights().items():
        source = _source_name(name, weights) if not name.endswith(".scale") else None
        if source is None or static_shape(weights[source]) != tuple(parameter.shape):
            continue
        dtype = weights[source].dtype
        learned[source] = ir.tensor(from_carrier(parameter.detach().cpu(), dtype), dtype=dtype, name=source)
    for component in program.components.values():
        initializers = component.model.graph.initializers
        for name in learned.keys() & initializers.keys():
            initializers[name].const_value = learned[name]
    return len(learned)


def _source_name(name: str, weights: FloatWeights) -> str | None:
    while name not in weights and "." in name:
        name = name.rpartition(".")[0]
    return name if name in weights else None
