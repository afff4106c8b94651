"""Compares an artifact with the model it was made from: all steps that a compile compares, and answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from exporter.sources import open_source
from npuc.artifact.artifact import Artifact
from npuc.artifact.manifest import ComponentRecord
from npuc.artifact.paths import MODEL_FOLDER, NPU_FOLDER
from npuc.compare.records import PrecisionRecord, SourceRecord
from npuc.compare.source.graph_precision import graph_precision
from npuc.compare.source.original_answers import ask
from npuc.compare.source.precision_bound import PrecisionBound, format_bound, precision_bound
from npuc.compare.source.rewrites import RewriteJob, judge_rewrites
from npuc.compare.source.sample_files import load_labelled
from npuc.compare.source.samples import Sample
from npuc.dump_ir import IrDump
from npuc.errors import ArtifactError
from npuc.settings.recipe import Recipe
from npuc.stages.capture.normalize import Normalized, normalize_program
from npuc.stages.capture.observe import draw_requests, program_runner
from npuc.stages.capture.options import capture_options
from program.onnx_executor import OnnxExecutor
from program.program import Component, Executor, Program

_ANSWER_REQUESTS = 4  # enough to see a broken loop; accuracy on a test set is a benchmark's business
_ANSWER_TOKENS = 8
DISTILLED = "the artifact holds a student of the model"


@dataclasses.dataclass(frozen=True)
class AnswerRow:
    """What the source and the artifact replied to one request."""

    prompt: str
    source: str
    artifact: str

    @property
    def same(self) -> bool:
        """Whether the answers are equal."""
        return self.source == self.artifact


@dataclasses.dataclass(frozen=True)
class SourceComparison:
    """An artifact beside the model it claims to be made from.

    Attributes:
        same_source: Whether the source's files have the checksums recorded in the manifest.
        sources: Component name → how far its graphs are from the model, measured now where they can be.
        rows: Answers of both to the same requests; the artifact's by its binaries.
    """

    same_source: bool
    sources: Mapping[str, SourceRecord]
    rows: tuple[AnswerRow, ...]

    @property
    def passed(self) -> bool:
        """Whether the artifact was made from this model, and computes what it computes."""
        kept = all(_is_kept(source.precision) for source in self.sources.values())
        return self.same_source and kept


def compare_with_source(artifact: Artifact, model: str) -> SourceComparison:
    """Captures the source again and compares it with the artifact, on the samples that the artifact holds.

    Args:
        artifact: Opened artifact.
        model: What `npuc compile` was given.

    Raises:
        AgreementError: A rewritten graph does not compute what the model computes.
        DiagnosticError: The model cannot be read, captured or run.
    """
    recipe = Recipe.model_validate(artifact.manifest.recipe)
    # the artifact holds samples of its own: what it was calibrated with need not be there any more
    program = open_source(model, dataclasses.replace(capture_options(recipe), calibration=None))
    normalized = normalize_program(program, lambda _steps, _bytes: None, IrDump(None))
    same = program.provenance.get("files") == artifact.manifest.source.get("files")
    samples = load_labelled(artifact.folder / MODEL_FOLDER)
    sources = {
        record.name: _compare(artifact, recipe, record, program, normalized, samples.get(record.name, []))
        for record in artifact.manifest.components
    }
    executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
    return SourceComparison(same, sources, _answers(artifact, program, executors))


def _is_kept(precision: PrecisionRecord | None) -> bool:
    return precision is None or precision.passed or precision.accepted


def _compare(
    artifact: Artifact,
    recipe: Recipe,
    record: ComponentRecord,
    program: Program,
    normalized: Normalized,
    samples: list[Sample],
) -> SourceRecord:
    name, original = record.name, program.original
    if "distilled" in artifact.manifest.source:
        return record.source.model_copy(update={"method": "", "missing": DISTILLED})
    if name not in original.openers or not samples:
        return record.source
    component, executor = program.components[name], original.openers[name]()
    _require_same_boundary(record, component, str(artifact.manifest.source.get("source")))
    cast = [row.cast(component.inputs) for row in samples]
    rewriting, bound = normalized.rewritings[name], recipe.gates.max_rewrite_error
    rewrites, answered = judge_rewrites(RewriteJob(component, rewriting, ask(executor, cast), bound))
    source = record.source.model_copy(update={"method": original.method, "rewrites": rewrites})
    if source.precision_against:  # training changed what the model computes
        return source
    precision = graph_precision(
        component.model, _final_graph(artifact, record), answered, _bound(recipe, record)
    )
    if precision is not None and source.precision is not None and source.precision.accepted:
        precision = precision.accept()
    return source.model_copy(update={"precision": precision})


def _require_same_boundary(record: ComponentRecord, component: Component, made_from: str) -> None:
    wanted = [(entry.name, entry.shape) for entry in (*record.inputs, *record.outputs)]
    found = [(spec.name, spec.shape) for spec in (*component.inputs, *component.outputs)]
    if wanted != found:
        raise ArtifactError(
            "the artifact was made from another model",
            where=f"component {record.name}",
            received=f"inputs and outputs {', '.join(name for name, _ in found)}; the artifact has "
            f"{', '.join(name for name, _ in wanted)}",
            remedy=f"name the model that it was made from: {made_from}",
        )


def _final_graph(artifact: Artifact, record: ComponentRecord) -> Path:
    if record.npu is None:
        return artifact.folder / record.reference
    return artifact.folder / NPU_FOLDER / f"{record.name}.onnx"


def _bound(recipe: Recipe, record: ComponentRecord) -> PrecisionBound:
    formats = [layer.format for layer in record.layers]
    if record.npu is None:
        bound = precision_bound(formats, recipe.precision.base, recipe.gates)
    else:
        bound = format_bound(record.npu.source_gate, formats, recipe.gates)
    recorded = record.source.precision
    if recorded is not None and recorded.decisions >= bound.least:
        # the artifact keeps a few of the samples on which the compile found that decisions are a measure
        return dataclasses.replace(bound, least=1)
    return bound


def _answers(artifact: Artifact, program: Program, source: Mapping[str, Executor]) -> tuple[AnswerRow, ...]:
    runner = program_runner(program)
    rows = []
    segments = [segment for component in artifact.manifest.components for segment in component.segments]
    reference = any(segment.executable is None for segment in segments)
    with artifact.executors(reference=reference) as executors:
        for request in draw_requests(program.requests, _ANSWER_REQUESTS):
            expected = runner.generate(source, request, _ANSWER_TOKENS).text
            actual = artifact.runner().generate(executors, request, _ANSWER_TOKENS).text
            rows.append(AnswerRow(request.prompt, expected, actual))
    return tuple(rows)
