"""Reads the header of a safetensors file and checks every figure in it.

The format (https://github.com/huggingface/safetensors#format): eight bytes with the header length N as little-endian
integer, N bytes of JSON, then the data; offsets in the header count from the end of the header. It is parsed here
rather than by the safetensors library because npuc needs the offsets, and because a damaged or hostile file must
end in a sentence that names the tensor.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.errors import SourceError
from exporter.files.regular_file import open_regular
from exporter.files.strict_json import parse_json
from exporter.files.tensor_limits import MAX_RANK

MAX_HEADER_BYTES = 100_000_000
"""The limit that the safetensors format itself sets."""

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        name: Name in the checkpoint.
        dtype: Safetensors name of the element type ("BF16").
        shape: Static shape.
        path: Absolute path of the file.
        offset: First byte, from the start of the file.
        nbytes: Length in bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Parses and checks the header of one safetensors file.

    Raises:
        SourceError: The file is truncated, its header is too large or malformed, or its offsets are not a gapless
            partition of the data.
    """
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
                raise SourceError(
                    "a safetensors file is truncated or its header is too large",
                    where=str(path),
                    received=f"a header of {length} bytes in a file of {size} bytes",
                    remedy="download the file again",
                )
            header = parse_json(stream.read(length))
    except ValueError as error:
        raise _damaged(path, f"the header is not valid JSON: {str(error)[:120]}") from error
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if not isinstance(header, dict):
        raise _damaged(path, "the header is not a JSON object")
    header.pop("__metadata__", None)
    tensors = {name: _parse_entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_layout(path, tensors, 8 + length, size)
    return tensors


def _parse_entry(path: Path, name: str, entry: Any, base: int) -> StoredTensor:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise _damaged(path, f"the entry of {name} is not a tensor")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise SourceError(
            "a tensor has an unknown element type", where=f"{path}: {name}", received=repr(dtype)[:80]
        )
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(path, f"shape {str(shape)[:80]} or offsets {str(offsets)[:80]} of {name}"[:200])
    begin, end = offsets
    if end - begin != (math.prod(shape) * _BITS[dtype] + 7) // 8:
        raise _damaged(path, f"{name}: {dtype}{shape} does not fill its {end - begin} bytes"[:200])
    return StoredTensor(name, dtype, tuple(shape), path, base + begin, end - begin)


def _are_counts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_RANK
        and all(type(item) is int and 0 <= item < 2**62 for item in value)
    )


def _check_layout(path: Path, tensors: Mapping[str, StoredTensor], base: int, size: int) -> None:
    position = base
    for tensor in sorted(tensors.values(), key=lambda item: (item.offset, item.nbytes)):
        if tensor.offset != position:
            problem = (
                "overlaps the tensor before it" if tensor.offset < position else "leaves a gap before it"
            )
            raise _damaged(path, f"{tensor.name} {problem}")
        position += tensor.nbytes
    if position != size:
        raise _damaged(path, f"its tensors end at byte {position}, the file at byte {size}")


def _damaged(path: Path, received: str) -> SourceError:
    return SourceError(
        "a safetensors file is damaged", where=str(path), received=received, remedy="download the file again"
    )
