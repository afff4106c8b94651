"""Gate 2 of every component, measured: what the number formats of the final graphs cost.

What is measured here is judged when it is known which graph runs on the device: `npuc.stages.place.judge_precision`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from npuc.artifact.manifest import LayerRecord
from npuc.artifact.paths import MODEL_FOLDER
from npuc.compare.records import PrecisionRecord, SourceRecord
from npuc.compare.source.graph_precision import graph_precision
from npuc.compare.source.original_answers import ask, keep_answers
from npuc.compare.source.precision_bound import precision_bound
from npuc.compare.source.sample_files import load_labelled
from npuc.compare.source.samples import Answered, Sample
from npuc.settings.recipe import Recipe
from npuc.stages.capture.compare_rewrites import Compared
from npuc.terminal.progress import Advance
from program.onnx_executor import OnnxExecutor
from program.program import Component, Program

TRAINED = "the trained float program: training changed what the model computes"
NARROWED = "the float graph of the sub-network"


@dataclasses.dataclass(frozen=True)
class PrecisionStage:
    """What to compare.

    Attributes:
        program: Final graphs, written.
        master: The same in float, their weights in place.
        recipe: Sections [precision] and [gates].
        layers: Component name → formats of its layers.
        folder: Of the artifact.
        instead: What final graphs are compared with where that is not the model, in words.
    """

    program: Program
    master: Program
    recipe: Recipe
    layers: Mapping[str, Sequence[LayerRecord]]
    folder: Path
    instead: str = ""


def compare_precision(stage: PrecisionStage, compared: Compared, advance: Advance) -> dict[str, SourceRecord]:
    """Measures every component and keeps the answers for graphs that are made of them for an NPU.

    Args:
        stage: What to compare.
        compared: The model's answers.
        advance: Told once a component.
    """
    samples = load_labelled(stage.folder / MODEL_FOLDER)
    sources, kept = {}, {}
    for name, component in stage.program.components.items():
        before = stage.master.components[name]
        record = compared.sources.get(name, SourceRecord(missing="the model has no such part"))
        against = stage.instead if name in compared.sources else NARROWED
        answered = _float_answers(before, samples.get(name, [])) if against else compared.answered[name]
        kept[name] = answered
        precision = _measure(stage, component, before, answered)
        against = against or record.precision_against
        sources[name] = record.model_copy(update={"precision": precision, "precision_against": against})
        advance(1, 0)
    keep_answers(kept, stage.folder)
    return sources


def _float_answers(before: Component, samples: Sequence[Sample]) -> list[Answered]:
    cast = [row.cast(before.inputs) for row in samples]
    return ask(OnnxExecutor(before.model), cast)


def _measure(
    stage: PrecisionStage, component: Component, before: Component, answered: Sequence[Answered]
) -> PrecisionRecord | None:
    formats = [layer.format for layer in stage.layers[component.name]]
    bound = precision_bound(formats, stage.recipe.precision.base, stage.recipe.gates)
    path = stage.folder / MODEL_FOLDER / f"{component.name}.onnx"
    return graph_precision(before.model, path, answered, bound)
