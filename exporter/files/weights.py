"""The tensors of a checkpoint folder as lazy tensors: no weight bytes are read before they are written."""

from __future__ import annotations

import functools
from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx_ir as ir

from exporter.errors import ExportError
from exporter.files.checkpoint_files import read_checkpoint
from exporter.files.model_folder import ModelFolder
from exporter.files.safetensors_header import StoredTensor
from program.lazy_tensor import map_rows
from program.program import Array

_FLOATS = {"F32": ir.DataType.FLOAT, "F16": ir.DataType.FLOAT16, "BF16": ir.DataType.BFLOAT16}

Bind = Callable[[str, ir.DataType, tuple[int, ...]], ir.TensorProtocol]
"""(parameter name in the module, dtype and shape it has in the graph) → the tensor; its name is global."""


class Checkpoint:
    """Tensors of a folder that holds `model.safetensors`, or an index and its shards.

    Args:
        folder: The model folder.

    Raises:
        SourceError: There are no safetensors, a file is damaged, or the index names what is not there.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._where = str(folder.path)
        checkpoint = read_checkpoint(folder)
        self.files, self._tensors = checkpoint.names, checkpoint.tensors

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors, sorted."""
        return tuple(sorted(self._tensors))

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def stored(self, name: str) -> StoredTensor:
        """Where a tensor lies.

        Raises:
            ExportError: The checkpoint has no tensor of this name.
        """
        if name not in self._tensors:
            raise ExportError(
                "the checkpoint lacks a tensor that its config.json asks for",
                where=self._where,
                received=name,
                remedy="check that all shards were downloaded and that config.json belongs to them",
            )
        return self._tensors[name]

    def tensor(
        self,
        name: str,
        dtype: ir.DataType,
        shape: tuple[int, ...],
        *,
        stored_shape: tuple[int, ...] | None = None,
    ) -> ir.TensorProtocol:
        """A lazy tensor: an `ir.ExternalTensor` into the file, or a block-wise conversion of one.

        Args:
            name: Name in the checkpoint; also the name of the result.
            dtype: Element type of the result, float32 or float16.
            shape: Shape of the result.
            stored_shape: Shape expected in the file where the result is a reshape of it.

        Raises:
            ExportError: The tensor is missing, has another shape, or a type that does not convert to `dtype`.
        """
        stored = self.stored(name)
        expected = stored_shape if stored_shape is not None else shape
        if stored.shape != expected:
            raise ExportError(
                "a tensor's shape does not fit config.json",
                where=f"{stored.path.name}: {name}",
                received=f"{list(stored.shape)}, config.json asks for {list(expected)}",
                remedy="check that config.json belongs to these weights",
            )
        return convert(_external(stored, shape), dtype)

    def bind(self, rename: Callable[[str], str]) -> Bind:
        """A binder for `exporter.capture`: module parameter name → `rename` → tensor of that name."""
        return lambda name, dtype, shape: self.tensor(rename(name), dtype, shape)


def convert(source: ir.TensorProtocol, dtype: ir.DataType) -> ir.TensorProtocol:
    """Converts a floating tensor lazily.

    Returns:
        `source` itself where it has the type already.

    Raises:
        ExportError: When written: a value overflows the range of float16.
    """
    if source.dtype == dtype:
        return source
    name = source.name or ""
    return map_rows(source, functools.partial(_convert_block, dtype=dtype, name=name), dtype, name=name)


def _external(stored: StoredTensor, shape: tuple[int, ...]) -> ir.ExternalTensor:
    if stored.dtype not in _FLOATS:
        raise ExportError(
            "a weight has an element type that cannot be captured",
            where=f"{stored.path.name}: {stored.name}",
            received=stored.dtype,
            remedy="use a checkpoint in BF16, F16 or F32 (quantised checkpoints must be dequantised first)",
        )
    return ir.ExternalTensor(
        stored.path.name,
        stored.offset,
        stored.nbytes,
        _FLOATS[stored.dtype],
        shape=ir.Shape(shape),
        name=stored.name,
        base_dir=str(stored.path.parent),
    )


def _convert_block(block: Array, *, dtype: ir.DataType, name: str) -> Array:
    target = dtype.numpy()
    if block.dtype == ml_dtypes.bfloat16 and target == np.float32:
        # a bfloat16 is the upper half of a float32
        return (block.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    wide = block.astype(np.float32)
    if target == np.float16 and bool(np.any(np.isfinite(wide) & (np.abs(wide) >= 65520.0))):
        # 65520 is the smallest magnitude that rounds to infinity in float16
        raise ExportError(
            "a weight is outside the range of float16",
            where=name,
            received=f"{np.abs(wide).max():.6g}",
            remedy='capture in float32 (dtype = "float32")',
        )
    return wide.astype(target)
