"""Where things lie in an artifact."""

from __future__ import annotations

MANIFEST_NAME = "manifest.json"
"""What makes a folder an artifact."""

MODEL_FOLDER = "model"
"""Reference graphs, the weights file and samples."""

NPU_FOLDER = "npu"
"""Graphs made for the NPU and their weights; for verification, not for the device."""

ASSETS_FOLDER = "assets"
"""Tokenizer and preprocessing data."""
