"""What the recipe says of capture and of recorded inputs."""

from __future__ import annotations

from pathlib import Path

from exporter.families.generic.recorded_requests import recorded_files
from exporter.options import CaptureOptions
from npuc.caching.cache import content_key, file_sha256
from npuc.settings.recipe import Recipe


def capture_options(recipe: Recipe) -> CaptureOptions:
    """Translates the recipe's section [capture]; graphs are captured in float32, passes choose the precision."""
    capture, inputs = recipe.capture, recipe.calibration.inputs
    return CaptureOptions(
        image_size=(capture.image_height, capture.image_width),
        prefill_length=capture.prefill_length,
        cache_length=capture.cache_length,
        seed=capture.seed,
        input_shapes=capture.input_shapes,
        calibration=None if inputs is None else Path(inputs).expanduser(),
    )


def calibration_digest(recipe: Recipe) -> str:
    """Hashes the recorded inputs that the recipe names; empty text where it names none.

    Raises:
        SourceError: There are none.
    """
    inputs = recipe.calibration.inputs
    if inputs is None:
        return ""
    return content_key(*(file_sha256(file) for file in recorded_files(Path(inputs).expanduser())))
