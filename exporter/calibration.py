"""Calibration requests: those a model folder brings along, else seeded synthetic ones.

A folder may hold `calibration.json`: `{"requests": [{"prompt": "…", "image": "shelf.png", "answer": "…"}]}`; `image` (a
file in the folder) and `answer` are optional. Real requests calibrate better than synthetic ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.options import MAX_REQUESTS
from program.program import Request

FILE = "calibration.json"
MAX_PIXELS = 1 << 26
"""Of one picture; a larger one is refused before it is decoded."""
MAX_ALL_PIXELS = 1 << 28
"""Of all pictures of a folder, which are held decoded: 0.8 GB."""

_PROMPTS = (
    "Describe the picture in one sentence.",
    "What colour is the largest shape?",
    "How many objects can you see, and where are they?",
    "Read the text in this image aloud.",
    "What could be to the left of this scene?",
    "List three things that stand out.",
    "Is the picture bright or dark? Explain why.",
    "Which of the objects would you pick up first?",
)


def folder_requests(folder: ModelFolder) -> tuple[Request, ...]:
    """The requests of `calibration.json`; none where the folder has no such file.

    Raises:
        SourceError: It is malformed, or a picture is missing or damaged.
    """
    if not folder.has(FILE):
        return ()
    entries = folder.read_json(FILE).get("requests")
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_REQUESTS:
        raise SourceError(
            f"{FILE} must hold a list of 1 to {MAX_REQUESTS} requests", where=str(folder.path / FILE)
        )
    requests = []
    pixels = 0
    for index, entry in enumerate(entries):
        requests.append(_request(folder, index, entry))
        image = requests[-1].image
        pixels += 0 if image is None else image.width * image.height
        if pixels > MAX_ALL_PIXELS:
            raise SourceError(
                f"the calibration pictures have more than {MAX_ALL_PIXELS} pixels together",
                where=str(folder.path / FILE),
                remedy="use fewer or smaller ones",
            )
    return tuple(requests)


def image_requests(seed: int, count: int, size: tuple[int, int]) -> tuple[Request, ...]:
    """Questions about synthetic pictures.

    Args:
        seed: Same seed, same requests.
        count: How many.
        size: (height, width) in pixels.
    """
    rng = np.random.default_rng(seed)
    return tuple(
        Request(prompt=_PROMPTS[index % len(_PROMPTS)], image=synthetic_image(rng, size))
        for index in range(count)
    )


def synthetic_image(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A colour gradient with rectangles and noise: smooth areas, edges and texture, as photographs have.

    Args:
        rng: Source of randomness.
        size: (height, width) in pixels.
    """
    height, width = size
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    corners = rng.uniform(0, 255, (2, 3))
    pixels = corners[0] * rows + corners[1] * columns * (1 - rows)
    for _ in range(int(rng.integers(3, 9))):
        top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
        bottom, right = top + int(rng.integers(1, height)), left + int(rng.integers(1, width))
        pixels[top:bottom, left:right] = rng.uniform(0, 255, 3)
    pixels = pixels + rng.normal(0, 8, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def read_image(folder: ModelFolder, name: str) -> Image.Image:
    """Decodes a picture of the folder.

    Raises:
        SourceError: It is missing, outside the folder, too large or not a picture.
    """
    path = folder.file(name)
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SourceError(
                    f"a picture has more than {MAX_PIXELS} pixels",
                    where=str(path),
                    received=f"{image.width} x {image.height}",
                )
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError("a picture cannot be read", where=str(path), received=str(error)[:200]) from error


def _request(folder: ModelFolder, index: int, entry: Any) -> Request:
    where = f"{folder.path / FILE}: request {index}"
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise SourceError("a calibration request needs a prompt", where=where, received=str(entry)[:80])
    image, answer = entry.get("image"), entry.get("answer")
    if not isinstance(image, str | None) or not isinstance(answer, str | None):
        raise SourceError("image and answer must be texts", where=where, received=str(entry)[:80])
    picture = read_image(folder, image) if image is not None else None
    return Request(prompt=entry["prompt"], image=picture, answer=answer)
