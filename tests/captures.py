"""A tiny Qwen3-VL, captured once a session: capturing takes most of the time of a test that needs one."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest

from exporter.options import CaptureOptions
from exporter.sources import open_source
from passes.pipeline import directly_read_weights, normalize
from program.program import Component, Program
from tests.tiny_qwen3_vl import build

QWEN_OPTIONS = CaptureOptions(image_size=(64, 96), prefill_length=16, cache_length=96)


@pytest.fixture(scope="session")
def tiny_qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with tied weights; do not write to it."""
    folder = tmp_path_factory.mktemp("tiny_qwen3_vl")
    build(folder, tied=True)
    return folder


@pytest.fixture(scope="session")
def tiny_qwen(tiny_qwen_folder: Path) -> Program:
    """What is captured from it with `QWEN_OPTIONS`; clone it before changing its graphs."""
    return open_source(tiny_qwen_folder, QWEN_OPTIONS)


def clone(program: Program) -> Program:
    """Returns the program with graphs of its own, which share the weights."""
    components = {
        name: Component(name, part.role, part.modality, part.model.clone())
        for name, part in program.components.items()
    }
    return dataclasses.replace(
        program,
        components=components,
        settings=copy.deepcopy(program.settings),
        assets=dict(program.assets),
        provenance=dict(program.provenance),
    )


def normalised(captured: Program) -> Program:
    """Returns a normalised clone."""
    program = clone(captured)
    keep = directly_read_weights(program)
    for component in program.components.values():
        normalize(component, keep)
    return program
