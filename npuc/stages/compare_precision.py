"""Gate 2 of every component, measured: what the number formats of the final graphs cost.

What is measured here is judged when it is known which graph runs on the device: `npuc.stages.judge_precision`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Component, Executor, Feeds, Program
from npuc.artifact import MODEL_FOLDER
from npuc.compare.lost_signal import lost_signal
from npuc.compare.original_answers import keep_answers
from npuc.compare.precision import PrecisionJob, measure_precision
from npuc.compare.precision_bound import precision_bound
from npuc.compare.records import PrecisionRecord, SourceRecord
from npuc.compare.samples import Answered, Sample
from npuc.compare.scores import score_outputs
from npuc.manifest import LayerRecord
from npuc.progress import Advance
from npuc.recipe import Recipe
from npuc.samples import load_samples
from npuc.segments import cast_feeds
from npuc.stages.compare_rewrites import Compared

TRAINED = "the trained float program: training changed what the model computes"
NARROWED = "the float graph of the sub-network"
REWRITTEN = "the rewritten graph in float32"


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
    samples = load_samples(stage.folder / MODEL_FOLDER)
    sources, kept = {}, {}
    for name, component in stage.program.components.items():
        before = stage.master.components[name]
        record = compared.sources.get(name, SourceRecord(missing="the model has no such part"))
        against = _against(stage, compared, name)
        answered = _float_answers(before, samples.get(name, [])) if against else compared.answered[name]
        kept[name] = answered
        precision = _measure(stage, component, before, answered)
        sources[name] = record.model_copy(update={"precision": precision, "precision_against": against})
        advance(1, 0)
    keep_answers(kept, stage.folder)
    return sources


def _against(stage: PrecisionStage, compared: Compared, name: str) -> str:
    """What a final graph is compared with where it is not the model, in words."""
    if name not in compared.sources:
        return NARROWED
    return stage.instead or ("" if name in compared.answered else REWRITTEN)


def _float_answers(before: Component, feeds: Sequence[Feeds]) -> list[Answered]:
    executor = OnnxExecutor(before.model)
    cast = [cast_feeds(feed, before.inputs) for feed in feeds]
    return [Answered(Sample(feed), executor(feed)) for feed in cast]


def _measure(
    stage: PrecisionStage, component: Component, before: Component, answered: Sequence[Answered]
) -> PrecisionRecord | None:
    formats = [layer.format for layer in stage.layers[component.name]]
    bound = precision_bound(formats, stage.recipe.precision.base, stage.recipe.gates)
    path = stage.folder / MODEL_FOLDER / f"{component.name}.onnx"
    return measure_precision(
        PrecisionJob(
            answered,
            casting(OnnxExecutor(path), component),
            score_outputs(before.model),
            bound,
            lambda row: lost_signal(before.model, ir.load(path), row.sample.feeds, bound.min_sqnr),
        )
    )


def casting(executor: Executor, component: Component) -> Executor:
    """Returns an executor that takes other element types as well."""
    return lambda feeds: executor(cast_feeds(feeds, component.inputs))
