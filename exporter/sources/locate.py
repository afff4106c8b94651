"""Where the bundled model lies."""

from __future__ import annotations

from pathlib import Path

DEMO = "demo"
"""Name of the small trained model that comes with npuc."""


def demo_folder() -> Path:
    """Returns the folder of the bundled model."""
    return Path(__file__).parents[1] / "reference_model" / "assets"
