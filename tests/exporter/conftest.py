"""Small checkpoints shared by the exporter's tests; built and captured once a session."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from exporter.families import FAMILIES
from exporter.onnx_executor import OnnxExecutor
from exporter.options import CaptureOptions
from exporter.program import Program
from exporter.sources import open_source
from tests.tiny_qwen3_vl import build

QWEN_OPTIONS = CaptureOptions(image_size=(64, 96), prefill_length=16, cache_length=96)


@dataclasses.dataclass(frozen=True)
class Qwen:
    """A tiny checkpoint, the unmodified model in transformers, and what npuc captured."""

    folder: Path
    reference: Any
    tokenizer: Any
    program: Program
    executors: dict[str, OnnxExecutor]

    @property
    def runner(self) -> Any:
        signatures = {name: component.inputs for name, component in self.program.components.items()}
        return FAMILIES["qwen3_vl"].runner(self.program.settings, self.program.assets, signatures)


@pytest.fixture(scope="session", params=["tied", "untied"])
def qwen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Qwen:
    import transformers

    folder = tmp_path_factory.mktemp(f"qwen3_vl_{request.param}")
    build(folder, tied=request.param == "tied")
    program = open_source(folder, QWEN_OPTIONS)
    return Qwen(
        folder,
        transformers.Qwen3VLForConditionalGeneration.from_pretrained(
            folder, attn_implementation="eager"
        ).eval(),
        transformers.AutoTokenizer.from_pretrained(folder),
        program,
        {name: OnnxExecutor(component.model) for name, component in program.components.items()},
    )


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to copy and damage; do not write to it."""
    folder = tmp_path_factory.mktemp("qwen3_vl")
    build(folder, tied=True)
    return folder
