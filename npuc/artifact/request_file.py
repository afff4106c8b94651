"""Requests in a file, so that a stage that is made again later asks the same ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from npuc.errors import ArtifactError
from program.program import Array, Request

REQUESTS_NAME = "requests.safetensors"

_TEXTS = "requests"
_IMAGE, _AUDIO, _TENSOR = "image", "audio", "tensor/"


def save_requests(requests: Sequence[Request], folder: Path) -> None:
    """Writes pictures, sounds and raw inputs as tensors named `index/…`, and the texts as metadata."""
    tensors = {
        f"{index}/{name}": np.ascontiguousarray(array)
        for index, request in enumerate(requests)
        for name, array in _arrays(request).items()
    }
    texts = [
        {"prompt": request.prompt, "sample_rate": request.sample_rate, "answer": request.answer}
        for request in requests
    ]
    save_file(tensors, folder / REQUESTS_NAME, {_TEXTS: json.dumps(texts)})


def load_requests(folder: Path) -> tuple[Request, ...]:
    """Reads what `save_requests` wrote.

    Raises:
        ArtifactError: The file is damaged.
    """
    path = folder / REQUESTS_NAME
    try:
        with safe_open(path, "numpy") as file:
            texts = json.loads(file.metadata()[_TEXTS])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArtifactError("the requests cannot be read", where=str(path), received=str(error)) from error
    by_request: list[dict[str, Array]] = [{} for _ in texts]
    for key, array in arrays.items():
        index, _, name = key.partition("/")
        by_request[int(index)][name] = array
    return tuple(_request(text, own) for text, own in zip(texts, by_request, strict=True))


def _arrays(request: Request) -> dict[str, Array]:
    arrays = {f"{_TENSOR}{name}": array for name, array in request.tensors.items()}
    if request.image is not None:
        arrays[_IMAGE] = np.asarray(request.image)
    if request.audio is not None:
        arrays[_AUDIO] = request.audio
    return arrays


def _request(text: dict[str, str | int | None], arrays: dict[str, Array]) -> Request:
    return Request(
        prompt=str(text["prompt"]),
        image=Image.fromarray(arrays[_IMAGE]) if _IMAGE in arrays else None,
        audio=arrays.get(_AUDIO),
        sample_rate=int(text["sample_rate"] or 0),
        tensors={
            name.removeprefix(_TENSOR): array for name, array in arrays.items() if name.startswith(_TENSOR)
        },
        answer=None if text["answer"] is None else str(text["answer"]),
    )
