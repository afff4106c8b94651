"""Stage 1: the model source becomes a program."""

from __future__ import annotations

from exporter.options import CaptureOptions
from npuc.recipe import Recipe


def capture_options(recipe: Recipe) -> CaptureOptions:
    """Translates the recipe's section [capture]; graphs are captured in float32, passes choose the precision."""
    capture = recipe.capture
    return CaptureOptions(
        image_size=(capture.image_height, capture.image_width),
        prefill_length=capture.prefill_length,
        cache_length=capture.cache_length,
        seed=capture.seed,
    )
