"""Small checkpoints shared by the exporter's tests; built and captured once a session."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from exporter.families.registry import FAMILIES
from exporter.sources import open_source
from program.onnx_executor import OnnxExecutor
from program.program import Program
from tests.captures import QWEN_OPTIONS
from tests.tiny_qwen3_vl import build


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


@pytest.fixture(scope="session")
def demo() -> Program:
    """The bundled model; do not change its graphs."""
    return open_source("demo")


@pytest.fixture(scope="session", params=["tied", "untied"])
def qwen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Qwen:
    """The shared model, and one whose dimensions all differ from it."""
    import transformers

    if request.param == "tied":
        folder, program = request.getfixturevalue("tiny_qwen_folder"), request.getfixturevalue("tiny_qwen")
    else:
        folder = tmp_path_factory.mktemp("qwen3_vl_untied")
        build(folder, tied=False)
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
