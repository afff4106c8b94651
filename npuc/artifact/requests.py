"""Turns what a user names on the command line into a Request, with every bad file reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from exporter.errors import SourceError
from exporter.files.regular_file import open_regular
from exporter.preprocessing.audio import read_wav
from npuc.errors import UsageError
from program.program import Array, Request

_PIXEL_LIMIT = 64 << 20  # a 64-megapixel picture decodes to 192 MB; larger ones are decompression bombs here
_TENSOR_LIMIT = 1 << 30


def make_request(
    *,
    prompt: str = "",
    image: str | Path | None = None,
    audio: str | Path | None = None,
    tensors: Mapping[str, Path] | None = None,
) -> Request:
    """Reads the named files.

    Args:
        prompt: The question.
        image: Picture in any format Pillow knows, at most 64 megapixels.
        audio: PCM WAV file.
        tensors: `.npy` files by input name.

    Raises:
        UsageError: A picture or tensor cannot be read.
        SourceError: The audio file cannot be read.
    """
    samples, rate = read_wav(Path(audio)) if audio is not None else (None, 0)
    return Request(
        prompt=prompt,
        image=_read_image(Path(image)) if image is not None else None,
        audio=samples,
        sample_rate=rate,
        tensors={name: _read_tensor(Path(path)) for name, path in (tensors or {}).items()},
    )


def _require_regular(path: Path, what: str) -> None:
    """Opening a pipe would wait for its other end, and a device has no end."""
    try:
        open_regular(path).close()
    except SourceError as error:
        received = ": ".join(filter(None, (error.what, error.received)))
        raise UsageError(f"cannot read the {what}", where=str(path), received=received) from error


def _read_image(path: Path) -> Image.Image:
    _require_regular(path, "picture")
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _PIXEL_LIMIT:
                raise UsageError(
                    "the picture is too large",
                    where=str(path),
                    received=f"{picture.width} x {picture.height} px",
                    remedy="use one of at most 64 megapixels",
                )
            picture.load()
            return picture.copy()
    except UsageError:
        raise
    except Exception as error:  # decoders of the formats raise whatever they hit
        raise UsageError(
            "cannot read the picture", where=str(path), received=str(error), remedy="name a PNG or JPEG file"
        ) from error


def _read_tensor(path: Path) -> Array:
    _require_regular(path, "tensor")
    if path.stat().st_size > _TENSOR_LIMIT:
        raise UsageError("the tensor file is larger than 1 GiB", where=str(path))
    try:
        # a memory map fails at once where the header promises more than the file holds
        tensor = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        if tensor.dtype.kind not in "biuf":
            raise ValueError(f"the element type {tensor.dtype} is no number or truth value")
        return tensor
    except Exception as error:  # the header is Python: numpy raises what a tokenizer and an evaluator may
        raise UsageError(
            "cannot read the tensor", where=str(path), received=str(error), remedy="write it with numpy.save"
        ) from error
