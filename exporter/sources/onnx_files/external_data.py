"""The files that an ONNX model names beside itself: each must be a regular file of the model's own folder."""

from __future__ import annotations

import math
from pathlib import Path

import onnx

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.sources.onnx_files.onnx_tensors import PlacedTensor, placed_tensors
from exporter.sources.sizes.sized_graph import ELEMENT_BITS

_KEYS = {"location", "offset", "length", "checksum"}


def external_files(proto: onnx.ModelProto, path: Path) -> tuple[Path, ...]:
    """Checks every reference to a file, wherever in the model it is.

    Args:
        proto: The model, without its external data.
        path: Of the model; data are read from its folder only.

    Returns:
        The files, each once, sorted.

    Raises:
        SourceError: A file is missing, outside the folder, not a regular one, or shorter than the tensor; or a tensor
            names one where npuc does not read any.
    """
    folder = ModelFolder(path.parent)
    return tuple(
        sorted(
            {
                _checked(placed, folder, path)
                for placed in placed_tensors(proto)
                if placed.tensor.data_location == onnx.TensorProto.EXTERNAL or placed.tensor.external_data
            }
        )
    )


def _checked(placed: PlacedTensor, folder: ModelFolder, path: Path) -> Path:
    entries = [(entry.key, entry.value) for entry in placed.tensor.external_data]
    fields = dict(entries)
    if not placed.in_graph or placed.tensor.data_location != onnx.TensorProto.EXTERNAL:
        raise SourceError(
            "a tensor names a file where npuc reads none",
            where=f"{path}: {placed.where}",
            received=fields.get("location", "no location"),
            remedy="keep large tensors as initializers of the graph, and others inside the .onnx file",
        )
    if len(fields) != len(entries) or not set(fields) <= _KEYS:
        raise SourceError(
            "external data are not described as ONNX does",
            where=f"{path}: {placed.where}",
            received=", ".join(key for key, _ in entries),
            remedy="save the model again",
        )
    file = folder.file(fields.get("location", ""))
    _check_range(placed, fields, file.stat().st_size, path)
    return file


def _check_range(placed: PlacedTensor, fields: dict[str, str], size: int, path: Path) -> None:
    needed = tensor_bytes(placed.tensor)
    offset, length = fields.get("offset", "0"), fields.get("length", str(needed))
    if (
        not (offset.isdecimal() and length.isdecimal())
        or int(length) != needed
        or int(offset) + needed > size
    ):
        raise SourceError(
            "external data lie outside their file, or are not as long as their tensor",
            where=f"{path}: {placed.where}",
            received=f"offset {offset}, length {length} for {needed} bytes, the file has {size} bytes",
            remedy="copy the .data file again",
        )


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Returns the bytes of a tensor's values, densely packed.

    Raises:
        ValueError: Its element type is unknown or text, or an extent is negative.
    """
    dtype = onnx.TensorProto.DataType.Name(tensor.data_type)
    if any(extent < 0 for extent in tensor.dims) or dtype not in ELEMENT_BITS:
        raise ValueError(f"{dtype} {list(tensor.dims)}")
    return -(-math.prod(tensor.dims) * ELEMENT_BITS[dtype] // 8)
