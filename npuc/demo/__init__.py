"""The bundled model: its data, its training, its assets."""

from __future__ import annotations

from pathlib import Path


def demo_folder() -> Path:
    """Returns the folder of the bundled model; entry point `demo` of the group `npuc.models`."""
    return Path(__file__).parent / "assets"
