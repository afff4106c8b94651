"""The sets of requests that a folder of the bundled model holds.

A set is two files: `NAME.safetensors` with the pictures (uint8) and the sounds (μ-law bytes, end to end, with offsets),
and `NAME.json` with questions and answers. Reading needs neither torch nor espeak-ng.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.mulaw import decode_mulaw
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from program.program import Request

MAX_BYTES = 32 << 20
"""Largest file of a set that is read."""


def load_requests(split: Split | str, folder: Path) -> list[Request]:
    """Reads a set.

    Args:
        split: "calibration" or "test".
        folder: Model folder that holds the set.

    Returns:
        Requests with image, audio, prompt and answer.

    Raises:
        SourceError: A file is missing, too large, damaged, or does not fit the other.
    """
    source = ModelFolder(folder)
    document = source.read_json(f"{split}.json")
    items = read_items(document, folder / f"{split}.json")
    tensors = _read_tensors(source, f"{split}.safetensors")
    _check_tensors(tensors, len(items), folder / f"{split}.safetensors")
    offsets = tensors["audio_offsets"]
    return [
        Request(
            prompt=item["question"],
            image=Image.fromarray(tensors["images"][i]),
            audio=decode_mulaw(tensors["audio"][offsets[i] : offsets[i + 1]]),
            sample_rate=int(document["sample_rate"]),
            answer=item["answer"],
        )
        for i, item in enumerate(items)
    ]


def read_items(document: Mapping[str, Any], path: Path) -> list[Mapping[str, str]]:
    """Returns kind, question and answer of every request of a set.

    Args:
        document: The set's JSON file.
        path: Where it lies, for the message.

    Raises:
        SourceError: It is damaged.
    """
    items = document.get("items")
    rate = document.get("sample_rate")
    if not isinstance(items, list) or not all(map(_is_item, items)) or not isinstance(rate, int) or rate <= 0:
        raise SourceError(
            "A set of examples is damaged.",
            where=str(path),
            received=f"sample_rate {rate!r}, {type(items).__name__} of items",
            remedy="restore the file",
        )
    return items


def _is_item(item: object) -> bool:
    keys = ("kind", "question", "answer")
    return isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys)


def _read_tensors(source: ModelFolder, name: str) -> dict[str, npt.NDArray[Any]]:
    data = source.read_bytes(name, limit=MAX_BYTES)
    try:
        return load(data)
    except SafetensorError as error:
        raise SourceError(
            "A set of examples is damaged.", where=name, received=str(error), remedy="restore the file"
        ) from error


def _check_tensors(tensors: Mapping[str, npt.NDArray[Any]], count: int, path: Path) -> None:
    images, audio, offsets = (tensors.get(name, np.empty(0)) for name in ("images", "audio", "audio_offsets"))
    fits = (
        images.dtype == np.uint8
        and images.ndim == 3
        and len(images) == count
        and audio.dtype == np.uint8
        and offsets.dtype == np.int64
        and offsets.shape == (count + 1,)
        and offsets[0] == 0
        and offsets[-1] == len(audio)
        and bool(np.all(np.diff(offsets) > 0))
    )
    if not fits:
        raise SourceError(
            "Pictures and sounds of a set do not fit its questions.",
            where=str(path),
            received=f"{count} questions, images {images.shape}, {len(audio)} bytes of audio, offsets {offsets.shape}",
            remedy="restore both files",
        )
