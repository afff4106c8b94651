"""Choices that fix a captured program's static shapes and base type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from exporter.errors import SourceError

BASE_DTYPES = {"float32": ir.DataType.FLOAT, "float16": ir.DataType.FLOAT16}
"""Element types a program can be captured in, by the name users write."""

MAX_REQUESTS = 4096
"""Of one calibration, recorded or listed."""


@dataclasses.dataclass(frozen=True)
class CaptureOptions:
    """What the user may choose when a model is captured.

    Attributes:
        image_size: (height, width) in pixels that every picture is resized to; the vision encoder's grid is fixed.
        prefill_length: Tokens S of one prefill chunk; a longer prompt runs in several chunks.
        cache_length: Tokens C the KV cache holds: prompt and answer together.
        dtype: Base element type of the graphs, "float32" or "float16".
        seed: Seeds synthetic calibration requests.
        requests: Number of synthetic calibration requests, where the source has none of its own.
        input_shapes: Shapes of inputs of an ONNX file that leaves them open, by name.
        calibration: Recorded inputs of a model without preprocessing: an .npz file or a folder of them.
    """

    image_size: tuple[int, int] = (512, 512)
    prefill_length: int = 128
    cache_length: int = 1024
    dtype: str = "float32"
    seed: int = 0
    requests: int = 4
    input_shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    calibration: Path | None = None

    def __post_init__(self) -> None:
        if self.dtype not in BASE_DTYPES:
            raise SourceError(
                "the capture type is not supported",
                received=repr(self.dtype),
                remedy=f"use one of {', '.join(BASE_DTYPES)}",
            )
        for field in ("prefill_length", "cache_length", "requests"):
            if getattr(self, field) < 1:
                raise SourceError(f"{field} must be 1 or more", received=str(getattr(self, field)))
        for name, shape in self.input_shapes.items():
            if min(shape, default=1) < 1:
                raise SourceError(f"the sizes of input {name} must be 1 or more", received=str(list(shape)))
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise SourceError(
                "image_size must be (height, width) in pixels, each 1 or more", received=str(self.image_size)
            )

    @property
    def ir_dtype(self) -> ir.DataType:
        """The base element type as ONNX knows it."""
        return BASE_DTYPES[self.dtype]
