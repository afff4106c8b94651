"""Prefill and decode of a small Qwen3-VL with random weights, normalised."""

from __future__ import annotations

import dataclasses

from program.program import Program
from tests.captures import normalised


def tiny_decoder(captured: Program) -> Program:
    """Returns a program of clones of these two components."""
    parts = {name: captured.components[name] for name in ("prefill", "decode")}
    return normalised(dataclasses.replace(captured, components=parts))
