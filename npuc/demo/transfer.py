"""A small part of the training split that is shipped with the model, so that passes can train without other data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.mulaw import decode_mulaw, encode_mulaw
from exporter.files.model_folder import ModelFolder
from npuc.demo.corpus import Corpus

FILE = "transfer.safetensors"

CLIPS_PER_NUMBER = 4
DIGITS = 1000

_MAX_BYTES = 32 << 20


def save_transfer(corpus: Corpus, folder: Path) -> None:
    """Writes `CLIPS_PER_NUMBER` clips of every number, spread over their voices, and the first `DIGITS` digits."""
    chosen = np.concatenate(
        [_spread(np.flatnonzero(corpus.clip_numbers == number)) for number in np.unique(corpus.clip_numbers)]
    )
    codes = [encode_mulaw(corpus.clip(int(index))) for index in chosen]
    part = Corpus(
        digit_images=corpus.digit_images[:DIGITS],
        digit_labels=corpus.digit_labels[:DIGITS],
        clips=np.concatenate(codes),  # stored as bytes, see load_transfer
        clip_offsets=np.cumsum([0, *(len(code) for code in codes)], dtype=np.int64),
        clip_numbers=corpus.clip_numbers[chosen],
    )
    save_file(vars(part), folder / FILE)


def load_transfer(folder: ModelFolder) -> Corpus:
    """Reads what `save_transfer` wrote.

    Raises:
        SourceError: The file is missing, too large or damaged.
    """
    data = folder.read_bytes(FILE, limit=_MAX_BYTES)
    try:
        tensors = load(data)
        corpus = Corpus(**{field.name: tensors[field.name] for field in dataclasses.fields(Corpus)})
    except (SafetensorError, KeyError) as error:
        raise _damaged(folder, str(error)) from error
    if not _fits(corpus):
        raise _damaged(folder, f"{len(corpus.digit_labels)} digits, {len(corpus.clip_numbers)} clips")
    samples = np.round(decode_mulaw(corpus.clips) * 32767).astype(np.int16)  # type: ignore[arg-type]
    return dataclasses.replace(corpus, clips=samples)


def _spread(
    indices: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return indices[:: max(1, len(indices) // CLIPS_PER_NUMBER)][:CLIPS_PER_NUMBER]


def _fits(corpus: Corpus) -> bool:
    offsets, numbers = corpus.clip_offsets, corpus.clip_numbers
    return (
        corpus.digit_images.dtype == np.uint8
        and corpus.digit_images.shape == (len(corpus.digit_labels), 28, 28)
        and set(corpus.digit_labels.tolist()) == set(range(10))
        and corpus.clips.dtype == np.uint8
        and offsets.shape == (len(numbers) + 1,)
        and offsets[0] == 0
        and offsets[-1] == len(corpus.clips)
        and bool(np.all(np.diff(offsets) > 0))
        and bool(np.all((numbers >= 0) & (numbers <= 99)))
    )


def _damaged(folder: ModelFolder, received: str) -> SourceError:
    return SourceError(
        "The training examples of the model folder are damaged.",
        where=str(folder.path / FILE),
        received=received,
        remedy="restore the file",
    )
