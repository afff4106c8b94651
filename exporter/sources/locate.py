"""Where models lie."""

from __future__ import annotations

from pathlib import Path

DEMO = "demo"
"""Name of the small trained model that comes with npuc."""


def demo_folder() -> Path:
    """Returns the folder of the bundled model."""
    return Path(__file__).parents[1] / "reference_model" / "assets"


def model_path(model: str) -> Path:
    """Returns where a model lies that a user named: `demo`, or a file or folder, which need not exist."""
    return demo_folder() if model == DEMO else Path(model).expanduser()
