"""A .pt2 archive, copied without anything that torch would unpickle or evaluate.

`torch.export.load` unpickles without restriction: weights marked `use_pickle`, custom objects, legacy weight files, and
sample inputs that a restricted load refuses. Copying, rather than checking and then reading the same file, also
leaves no room for two readers that understand one archive differently.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exporter.errors import ExportError, SourceError
from exporter.files.strict_json import parse_json
from exporter.files.tensor_limits import MAX_RANK
from exporter.sources.torch_programs.pt2_graph import UnsafeGraphError, check_path, copy_graph
from exporter.sources.torch_programs.pt2_operators import is_allowed_operator, is_listed_operator
from program.shorten import shorten

MAX_JSON_BYTES = 256 << 20

MAX_SAMPLE_BYTES = 2 << 30
"""Of all sample inputs together; a view of a few bytes may claim any size."""

_GRAPH = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_ENTRIES = re.compile(
    r"models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
    r"|archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|extra/.*"
)
_BLOCK = 1 << 20


def check_archive(path: Path) -> int:
    """Checks what can be checked without torch.

    Args:
        path: The .pt2 file.

    Returns:
        Bytes of its weights.

    Raises:
        SourceError: Reading the file might run code, or it is not an archive.
        ExportError: It has symbolic sizes.
    """
    with _refusals(path), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_entries(path, entries)
        for entry in entries:
            if _is_document(_inner_name(entry)):
                _document(path, archive, entry, is_listed_operator)
        return sum(entry.file_size for entry in entries if not entry.filename.endswith(".json"))


def copy_archive(path: Path, destination: Path) -> None:
    """Writes a copy that torch can read without running anything of it.

    Args:
        path: The .pt2 file.
        destination: File to write.

    Raises:
        SourceError: Reading the file might run code, or it is not an archive.
        ExportError: It has symbolic sizes.
    """
    with _refusals(path), zipfile.ZipFile(path) as archive, zipfile.ZipFile(destination, "w") as copy:
        entries = archive.infolist()
        _check_entries(path, entries)
        for entry in entries:
            _copy_entry(path, archive, entry, copy)


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except UnsafeGraphError as error:
        raise _refuse(path, str(error)) from error
    except (
        zipfile.BadZipFile, OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, StopIteration
    ) as error:  # fmt: skip
        raise SourceError("the .pt2 file is damaged", where=str(path), received=shorten(error)) from error


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    for entry in entries:
        # stored entries cannot be larger than the file, so that nothing is unpacked from a bomb
        if entry.compress_type != zipfile.ZIP_STORED or not _ENTRIES.fullmatch(_inner_name(entry)):
            raise _refuse(path, f"entry {entry.filename[:120]!r}")
        if entry.filename.endswith((".json", ".pt")) and entry.file_size > MAX_JSON_BYTES:
            raise _refuse(path, f"{entry.filename[:120]} of {entry.file_size} bytes")
    if len({entry.filename for entry in entries}) != len(entries):
        raise _refuse(path, "two entries of one name")
    if len({entry.filename.partition("/")[0] for entry in entries}) != 1:
        raise _refuse(path, "entries outside the archive's own folder")


def _inner_name(entry: zipfile.ZipInfo) -> str:
    """Without the archive's own top folder."""
    return entry.filename.partition("/")[2]


def _copy_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, copy: zipfile.ZipFile) -> None:
    name = _inner_name(entry)
    if name.startswith("extra/"):
        return
    target = zipfile.ZipInfo(f"model/{name}")
    if name == _SAMPLES:
        copy.writestr(target, _samples(path, archive.read(entry)))
    elif _is_document(name):
        copy.writestr(target, json.dumps(_document(path, archive, entry, is_allowed_operator)))
    else:
        with archive.open(entry) as source, copy.open(target, "w", force_zip64=True) as written:
            while block := source.read(_BLOCK):
                written.write(block)


def _is_document(name: str) -> bool:
    return name.endswith(".json") and not name.startswith("extra/")


def _document(
    path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, is_allowed: Callable[[str], bool]
) -> Any:
    name = _inner_name(entry)
    document = parse_json(archive.read(entry))
    _refuse_symbols(path, document)
    if name == _GRAPH:
        return copy_graph(document, is_allowed)
    for tensor, stored in document["config"].items():
        check_path(tensor)
        if stored.get("use_pickle") is not False:
            raise UnsafeGraphError(f"a pickled tensor in {name}")
    _check_sizes(document, {_inner_name(item): item.file_size for item in archive.infolist()}, name)
    return document


def _check_sizes(config: dict[str, Any], sizes: dict[str, int], name: str) -> None:
    """From an entry without bytes torch makes a tensor of zeros, of any size."""
    for tensor, entry in config["config"].items():
        extents = [int(size["as_int"]) for size in entry["tensor_meta"]["sizes"]]
        if len(extents) > MAX_RANK:
            raise ValueError(f"{tensor} has {len(extents)} axes")
        stored = sizes[f"{name.rpartition('/')[0]}/{entry['path_name']}"]
        if stored == 0 and math.prod(extents) != 0:
            raise ValueError(f"{tensor} of shape {extents} has no bytes")


def _refuse_symbols(path: Path, document: Any) -> None:
    for item in _objects(document):
        if "expr_str" in item or "as_expr" in item:
            raise ExportError(
                "the exported program has dynamic sizes",
                where=str(path),
                received=str(item.get("expr_str", item.get("as_expr")))[:80],
                remedy="export it with fixed example inputs and no dynamic_shapes",
            )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def _samples(path: Path, data: bytes) -> bytes:
    """The sample inputs, read as plain tensors and written anew."""
    import torch
    from torch.utils import _pytree as pytree

    _check_stored(path, data)
    try:
        samples = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many unrelated classes here
        raise _refuse(path, f"sample inputs that are not plain tensors: {shorten(error, 120)}") from error
    tensors = [leaf for leaf in pytree.tree_leaves(samples) if isinstance(leaf, torch.Tensor)]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > MAX_SAMPLE_BYTES:
        raise ExportError(
            "the sample inputs are larger than 2 GiB",
            where=str(path),
            received=f"{size} bytes",
            remedy="export the module with smaller example inputs",
        )
    buffer = io.BytesIO()
    torch.save(samples, buffer)
    return buffer.getvalue()


def _check_stored(path: Path, data: bytes) -> None:
    """Tensors inside are not compressed by torch; packed ones might unpack to any size."""
    if data and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in inner.infolist()):
                raise _refuse(path, "compressed sample inputs")


def _refuse(path: Path, received: str) -> SourceError:
    return SourceError(
        "the .pt2 file holds what might run code when it is read; npuc does not read it",
        where=str(path),
        received=received,
        remedy="export a module of plain tensors and aten operators, or give npuc file.py:function",
    )
