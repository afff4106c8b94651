"""Gate 1 of every component: the user's model answers, and the rewritten graph has to answer the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from npuc.compare.records import SourceRecord
from npuc.compare.source.first_wrong_pass import Rewriting
from npuc.compare.source.original_answers import ask, require_same_answers
from npuc.compare.source.rewrites import RewriteJob, judge_rewrites
from npuc.compare.source.samples import Answered, comparison_samples
from npuc.errors import AgreementError
from npuc.settings.recipe import Gates
from npuc.terminal.progress import Advance
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program

REWRITTEN = "the rewritten graph in float32"


@dataclasses.dataclass(frozen=True)
class Compared:
    """What the model answered, and how far the rewritten graphs are from it.

    Attributes:
        sources: Component name → record, without a word on precision yet.
        answered: Component name → samples with the model's answers; the rewritten graph's where it was not run.
    """

    sources: dict[str, SourceRecord]
    answered: dict[str, list[Answered]]


def compare_rewrites(
    program: Program,
    rewritings: Mapping[str, Rewriting],
    feeds: Mapping[str, Sequence[Feeds]],
    gates: Gates,
    advance: Advance,
) -> Compared:
    """Judges every component; of a large model one is held in memory at a time.

    Args:
        program: Normalised, with its original.
        rewritings: Component name → how it was made.
        feeds: Component name → what it was fed.
        gates: Limits of the recipe.
        advance: Told once a component.

    Raises:
        DiagnosticError: The model fails on a sample, or a rewritten graph does not compute what it computes.
    """
    original, compared = program.original, Compared({}, {})
    for name, samples in comparison_samples(program, feeds).items():
        if name in original.openers and samples:
            executor = original.openers[name]()
            answered = ask(executor, samples)
            job = RewriteJob(program.components[name], rewritings[name], answered, gates.max_rewrite_error)
            try:
                record, compared.answered[name] = judge_rewrites(job)
            except AgreementError:
                require_same_answers(executor, answered)
                raise
            compared.sources[name] = SourceRecord(method=original.method, rewrites=record)
        else:
            missing = original.missing if samples else "no request reaches it"
            compared.sources[name] = SourceRecord(missing=missing, precision_against=REWRITTEN)
            rewritten = OnnxExecutor(program.components[name].model)
            compared.answered[name] = ask(rewritten, samples)
        advance(1, 0)
    return compared
