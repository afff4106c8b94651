"""Parses an .onnx file, without its external data."""

from __future__ import annotations

from pathlib import Path

import onnx

from exporter.errors import SourceError
from exporter.files.regular_file import read_regular
from program.shorten import shorten

MAX_PROTO_BYTES = (1 << 31) - 1
"""Protocol buffers cannot be larger; bigger models keep their weights in external files."""


def parse_onnx(path: Path) -> onnx.ModelProto:
    """Reads the file.

    Raises:
        SourceError: It is damaged, too large, or not a regular file.
    """
    if path.stat().st_size > MAX_PROTO_BYTES:
        raise SourceError(
            "the .onnx file is larger than 2 GiB", where=str(path), remedy="save its weights externally"
        )
    data = read_regular(path, MAX_PROTO_BYTES)
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf has an exception class of its own for damaged files
        raise SourceError("the .onnx file is damaged", where=str(path), received=shorten(error)) from error
