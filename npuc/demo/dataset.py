"""The shipped calibration and test sets, as `exporter.families.multimodal_transformer.requests` reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.mulaw import encode_mulaw
from exporter.families.multimodal_transformer.requests import load_requests, read_items
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from npuc.demo import demo_folder
from npuc.demo.examples import Example
from npuc.demo.questions import Kind
from npuc.demo.speech import SAMPLE_RATE
from program.program import Request


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


def demo_requests(split: Split | str) -> list[Request]:
    """Reads a set of the bundled model.

    Args:
        split: "calibration" or "test".

    Returns:
        Requests with image, audio, prompt and answer.
    """
    return load_requests(split, demo_folder())


def load_kinds(split: Split | str, folder: Path | None = None) -> list[Kind]:
    """Returns what each request of a set asks for, in the order of `demo_requests`.

    Raises:
        SourceError: The file is missing or damaged.
    """
    folder = folder or demo_folder()
    path = folder / f"{split}.json"
    items = read_items(ModelFolder(folder).read_json(path.name), path)
    unknown = {item["kind"] for item in items} - set(Kind)
    if unknown:
        raise SourceError(
            "A set of examples is damaged.",
            where=str(path),
            received=f"kind {min(unknown)[:80]!r}",
            remedy="restore the file",
        )
    return [Kind(item["kind"]) for item in items]
