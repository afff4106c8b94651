"""Pictures → normalised patches, as Qwen2-VL and its successors want them (equal to transformers' PIL processor)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from exporter.errors import ExportError

MAX_ASPECT_RATIO = 200
"""Beyond this ratio of the sides the published processor refuses an image too."""


@dataclasses.dataclass(frozen=True)
class PatchLayout:
    """How a picture is cut.

    Attributes:
        size: (height, width) in pixels that every picture is resized to, each a multiple of `patch` * `merge`.
        patch: Pixels per side of a patch.
        merge: Patches per side of a merge block.
        temporal: Times that a still picture is repeated in a patch.
        mean: Per channel (red, green, blue), subtracted from values in [0, 1].
        std: Per channel, divided by.
    """

    size: tuple[int, int]
    patch: int
    merge: int
    temporal: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per column and per row."""
        return self.size[0] // self.patch, self.size[1] // self.patch

    @property
    def token_grid(self) -> tuple[int, int]:
        """Tokens per column and per row, after merging."""
        return self.grid[0] // self.merge, self.grid[1] // self.merge

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> PatchLayout:
        """Reads back what `dataclasses.asdict` and JSON made of a layout."""
        height, width = settings["size"]
        return cls(
            size=(int(height), int(width)),
            patch=int(settings["patch"]),
            merge=int(settings["merge"]),
            temporal=int(settings["temporal"]),
            mean=_triple(settings["mean"]),
            std=_triple(settings["std"]),
        )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def smart_resize(
    size: tuple[int, int], factor: int, min_pixels: int = 1, max_pixels: int = 1 << 24
) -> tuple[int, int]:
    """The nearest size whose sides are multiples of `factor`, within limits on the area.

    Args:
        size: (height, width) in pixels.
        factor: Pixels.
        min_pixels: Least area.
        max_pixels: Greatest area.

    Returns:
        (height, width); the aspect ratio is kept as well as the factor allows.

    Raises:
        ExportError: One side is more than 200 times the other.
    """
    height, width = size
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise ExportError(
            "a picture is too elongated",
            received=f"{width} x {height} pixels",
            remedy="crop it to at most 200 : 1",
        )
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if rows * columns > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif rows * columns < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns


def patches(image: Image.Image, layout: PatchLayout) -> npt.NDArray[np.float32]:
    """Resizes (bicubic), normalises and cuts a picture.

    The picture is stretched to the layout's size: the grid is fixed when the model is captured.

    Args:
        image: Any mode and size; transparency is dropped.
        layout: How to cut it.

    Returns:
        [patches, channels * temporal * patch * patch], patches in merge-block order.
    """
    return cut(normalise(resize(image, layout.size), layout.mean, layout.std), layout)


def resize(image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Returns RGB pixels [height, width, 3] of a picture stretched to (height, width)."""
    picture = image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def normalise(
    pixels: npt.NDArray[np.uint8], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """(pixels / 255 - mean) / std per channel.

    Args:
        pixels: [height, width, 3].
        mean: Of values in [0, 1].
        std: Of values in [0, 1].
    """
    scaled = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    centred = np.subtract(scaled, np.array(mean, np.float32), dtype=np.float32)
    return np.divide(centred, np.array(std, np.float32), dtype=np.float32)


def cut(pixels: npt.NDArray[np.float32], layout: PatchLayout) -> npt.NDArray[np.float32]:
    """Cuts [height, width, 3] into flattened patches [patches, 3 * temporal * patch * patch]."""
    rows, columns = layout.token_grid
    merge, patch = layout.merge, layout.patch
    blocks = pixels.reshape(rows, merge, patch, columns, merge, patch, 3)
    ordered = blocks.transpose(0, 3, 1, 4, 6, 2, 5)  # block row, block column, row, column, channel, y, x
    repeated = np.repeat(ordered[:, :, :, :, :, None], layout.temporal, axis=5)
    return repeated.reshape(layout.grid[0] * layout.grid[1], -1)
