"""Prefill and decode of a small Qwen3-VL with random weights, normalised."""

from __future__ import annotations

from pathlib import Path

from exporter.options import CaptureOptions
from exporter.program import Program
from exporter.sources import open_source
from passes.pipeline import directly_read_weights, normalize
from tests.tiny_qwen3_vl import build


def tiny_decoder(folder: Path) -> Program:
    """Writes the model into a folder and captures it: a cache of 24 tokens, prompts in chunks of 8."""
    build(folder, tied=True)
    captured = open_source(folder, CaptureOptions(image_size=(64, 64), prefill_length=8, cache_length=24))
    keep = directly_read_weights(captured)
    captured.components = {name: captured.components[name] for name in ("prefill", "decode")}
    for component in captured.components.values():
        normalize(component, keep)
    return captured
