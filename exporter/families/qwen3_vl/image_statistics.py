"""The two settings of preprocessor_config.json that pixels are normalised by."""

from __future__ import annotations

import math

from exporter.errors import ExportError
from exporter.files.model_folder import ModelFolder

_FILE = "preprocessor_config.json"
_LARGEST, _SMALLEST = 1e4, 1e-4  # pixels are in [0, 1]; float32 and float16 have to hold the quotient

Channels = tuple[float, float, float]


def image_statistics(folder: ModelFolder) -> tuple[Channels, Channels]:
    """Mean and standard deviation by channel; 0.5 each where the folder says none (Qwen3-VL's published values).

    Raises:
        ExportError: They are not three numbers each, or absurd ones.
    """
    values = folder.read_json(_FILE) if folder.has(_FILE) else {}
    means = _channels(values.get("image_mean", [0.5] * 3), "image_mean", folder)
    deviations = _channels(values.get("image_std", [0.5] * 3), "image_std", folder)
    if not all(value >= _SMALLEST for value in deviations):
        raise _malformed("image_std", deviations, folder)
    return means, deviations


def _channels(value: object, name: str, folder: ModelFolder) -> Channels:
    if not isinstance(value, list) or len(value) != 3 or not all(type(x) in (int, float) for x in value):
        raise _malformed(name, value, folder)
    red, green, blue = map(float, value)
    if not all(math.isfinite(x) and abs(x) <= _LARGEST for x in (red, green, blue)):
        raise _malformed(name, value, folder)
    return red, green, blue


def _malformed(name: str, value: object, folder: ModelFolder) -> ExportError:
    return ExportError(
        f"{name} must be three numbers, of the size of pixels in [0, 1]",
        where=str(folder.path / _FILE),
        received=str(value)[:80],
    )
