"""Torch code in eager mode as an executor of a component: what the captured graph is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from program.program import Array, Executor, Feeds

Tensors = Mapping[str, torch.Tensor]


def eager_executor(run: Callable[[Tensors], Tensors]) -> Executor:
    """Wraps a function on torch tensors.

    Args:
        run: Maps a component's inputs to its outputs, by name. It sees floating inputs as float32, whatever they were
            fed as, and must not write to them.

    Returns:
        The executor. Its floating outputs are float32.
    """

    def execute(feeds: Feeds) -> dict[str, Array]:
        with torch.no_grad():
            outputs = run({name: _to_tensor(array) for name, array in feeds.items()})
        return {name: _to_array(tensor) for name, tensor in outputs.items()}

    return execute


def _to_tensor(array: Array) -> torch.Tensor:
    dtype = np.float32 if np.issubdtype(array.dtype, np.floating) else array.dtype
    # copies only what is of another type or read-only, such as samples mapped from a file
    return torch.from_numpy(np.require(array, dtype, ("C", "W")))


def _to_array(tensor: torch.Tensor) -> Array:
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return np.ascontiguousarray(array)
