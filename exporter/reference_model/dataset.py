"""The shipped calibration and test sets, and how they are stored.

A set is two files: `NAME.safetensors` with the pictures (uint8) and the sounds (μ-law bytes, end to end, with offsets),
and `NAME.json` with questions and answers. Reading needs neither torch nor espeak-ng.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from exporter.errors import SourceError
from exporter.model_folder import ModelFolder
from exporter.program import Request
from exporter.reference_model.examples import Example
from exporter.reference_model.mulaw import decode_mulaw, encode_mulaw
from exporter.reference_model.questions import Kind
from exporter.reference_model.speech import SAMPLE_RATE
from exporter.reference_model.splits import Split

ASSETS = Path(__file__).parent / "assets"
"""The shipped model folder."""

MAX_BYTES = 32 << 20
"""Largest file of a set that is read."""


def save_examples(examples: Sequence[Example], folder: Path, split: Split) -> None:
    """Writes a set; the folder must exist."""
    codes = [encode_mulaw(example.samples) for example in examples]
    tensors: dict[str, npt.NDArray[Any]] = {
        "images": np.stack([example.image for example in examples]),
        "audio": np.concatenate(codes),
        "audio_offsets": np.cumsum([0, *(len(code) for code in codes)], dtype=np.int64),
    }
    save_file(tensors, folder / f"{split}.safetensors")
    items = [{"kind": e.kind, "question": e.question, "answer": e.answer} for e in examples]
    document = {"sample_rate": SAMPLE_RATE, "audio_encoding": "mu-law, mu = 255", "items": items}
    (folder / f"{split}.json").write_text(json.dumps(document, indent=1) + "\n")


def load_requests(split: Split | str, folder: Path = ASSETS) -> list[Request]:
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
    items = _read_items(document, folder / f"{split}.json")
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


def load_kinds(split: Split | str, folder: Path = ASSETS) -> list[Kind]:
    """Returns what each request of a set asks for, in the order of `load_requests`.

    Raises:
        SourceError: The file is missing or damaged.
    """
    path = folder / f"{split}.json"
    return [Kind(item["kind"]) for item in _read_items(ModelFolder(folder).read_json(path.name), path)]


def _read_items(document: Mapping[str, Any], path: Path) -> list[Mapping[str, str]]:
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
    return (
        isinstance(item, dict)
        and all(isinstance(item.get(key), str) for key in ("question", "answer"))
        and item.get("kind") in set(Kind)
    )


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
