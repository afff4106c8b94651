"""Looks through an .onnx or a .pt2 file; runs in a child process, and imports only what parsing needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def examine_onnx(_content: bytes, path: str) -> dict[str, Any]:
    """Parses an ONNX file and checks it, by onnx's own checker among others.

    Returns:
        Bytes of all `weights`, of the `largest` of them, of the values that are `live` at one time, and the names of
        the `files` with weights, in the file's folder.

    Raises:
        SourceError: The file is damaged, or not a valid graph.
        ExportError: It holds what npuc does not support.
    """
    from exporter.sources.onnx_files.external_data import external_files, tensor_bytes
    from exporter.sources.onnx_files.onnx_check import check_onnx
    from exporter.sources.onnx_files.onnx_parse import parse_onnx
    from exporter.sources.onnx_files.onnx_tensors import placed_tensors
    from exporter.sources.sizes.value_sizes import live_bytes

    file = Path(path)
    proto = parse_onnx(file)
    graph = check_onnx(proto, file)
    sizes = [tensor_bytes(placed.tensor) for placed in placed_tensors(proto)]
    return {
        "weights": sum(sizes),
        "largest": max(sizes, default=0),
        "live": live_bytes(graph),
        "files": [str(found.relative_to(file.parent.resolve())) for found in external_files(proto, file)],
    }


def examine_pt2(_content: bytes, path: str) -> dict[str, Any]:
    """Checks a .pt2 archive as far as that is possible without torch.

    Returns:
        Bytes of all `weights`.

    Raises:
        SourceError: Reading the file might run code, or it is not an archive.
        ExportError: It has symbolic sizes.
    """
    from exporter.sources.torch_programs.pt2_archive import check_archive

    return {"weights": check_archive(Path(path))}


def copy_pt2(_content: bytes, path: str, destination: str) -> None:
    """Writes a copy of a .pt2 archive that torch can read without running anything of it; imports torch.

    Raises:
        SourceError: As `examine_pt2`. So is ExportError.
    """
    from exporter.sources.torch_programs.pt2_archive import copy_archive

    copy_archive(Path(path), Path(destination))
