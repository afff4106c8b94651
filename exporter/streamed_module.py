"""Runs a torch module whose weights stay in their file: each is read for the call that needs it, and dropped after it.

The module is built on torch's meta device, where a parameter has a shape and no storage. Hooks on every part that owns
parameters (a linear layer, a norm) give them their values right before the part's `forward`, and take them away right
after it. Memory follows the largest part, not the model. Of an embedding only the rows that are looked up are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from torch import nn

from exporter.errors import ExportError, SourceError
from exporter.files.weights import Bind
from program.lazy_tensor import read_rows, row_blocks


def stream_weights(module: nn.Module, bind: Bind) -> None:
    """Makes a module on the meta device callable, once and for all.

    Parameters that have values already keep them. A parameter must be used in the `forward` of the part that owns it
    (or of parts below), as those of `nn.Linear` and its like are.

    Args:
        module: Its parameters are on the meta device, its buffers hold their real values.
        bind: Gives the tensor for each parameter, by its full name, in float32.

    Raises:
        ExportError: A buffer has no value, or `bind` has no fitting tensor. When the module is called, SourceError: a
            file was changed since.
    """
    for name, buffer in module.named_buffers():
        if buffer.is_meta:
            raise ExportError(
                "a buffer has no value, and no weight of the checkpoint is one",
                where=f"{type(module).__name__}: {name}",
                remedy="build the part that owns it outside of the meta device",
            )
    for path, part in module.named_modules():
        empty = {name: value for name, value in part.named_parameters(recurse=False) if value.is_meta}
        prefix = f"{path}." if path else ""
        tensors = {
            name: bind(prefix + name, ir.DataType.FLOAT, tuple(value.shape)) for name, value in empty.items()
        }
        if empty:
            _Weights(empty, tensors).attach(part)


class _Weights:
    """The parameters that one part owns itself.

    Args:
        empty: By name, on the meta device.
        tensors: Their values.
    """

    def __init__(self, empty: Mapping[str, nn.Parameter], tensors: Mapping[str, ir.TensorProtocol]) -> None:
        self._empty = empty
        self._tensors = tensors

    def attach(self, part: nn.Module) -> None:
        part.register_forward_pre_hook(self._load, with_kwargs=True)
        # also after an exception, which would leave a layer behind
        part.register_forward_hook(self._drop, always_call=True)

    def _load(self, part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = (args[0] if args else kwargs["input"]) if isinstance(part, nn.Embedding) else None
        for name, tensor in self._tensors.items():
            setattr(part, name, nn.Parameter(_read(tensor, ids), requires_grad=False))

    def _drop(self, part: nn.Module, *_: Any) -> None:
        for name, parameter in self._empty.items():
            setattr(part, name, parameter)


def _read(tensor: ir.TensorProtocol, ids: torch.Tensor | None) -> torch.Tensor:
    try:
        return _whole(tensor) if ids is None else _looked_up(tensor, ids)
    except (OSError, ValueError) as error:
        raise SourceError(
            "a weight can no longer be read",
            where=str(tensor.name),
            received=str(error),
            remedy="leave the model's files as they are while npuc works with them",
        ) from error


def _whole(tensor: ir.TensorProtocol) -> torch.Tensor:
    values, start = _unwritten(tensor), 0
    rows = values if values.ndim else values[None]
    for block in row_blocks(tensor):
        stop = start + (len(block) if block.ndim else 1)
        rows[start:stop] = block
        start = stop
    return torch.from_numpy(values)


def _looked_up(tensor: ir.TensorProtocol, ids: torch.Tensor) -> torch.Tensor:
    """The table with the rows of `ids` filled in; pages of memory that nobody writes are never there."""
    table = _unwritten(tensor)
    rows = np.unique(ids.numpy())
    rows = rows[(rows >= 0) & (rows < len(table))]  # others are for the embedding to refuse
    for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        if len(run):
            table[run[0] : run[-1] + 1] = read_rows(tensor, int(run[0]), int(run[-1]) + 1)
    return torch.from_numpy(table)


def _unwritten(tensor: ir.TensorProtocol) -> npt.NDArray[np.float32]:
    return np.empty(tuple(int(size) for size in tensor.shape.numpy()), np.float32)
