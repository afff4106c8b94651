"""Gate 2: what a component loses by its number formats, judged for the graph that runs on the device."""

from __future__ import annotations

from collections.abc import Mapping

from npuc.compare.records import PrecisionRecord, SourceRecord
from npuc.compare.source.fidelity import describe_loss
from npuc.errors import AgreementError
from npuc.stages.capture.prepared import Prepared
from npuc.stages.place.plan import ComponentPlan, Plan
from npuc.terminal.progress import ProgressReporter


def planned_sources(plan: Plan, prepared: Prepared, accepted: bool) -> dict[str, SourceRecord]:
    """Returns for each component how far the graph that runs is from the user's model.

    Args:
        plan: Says which graph runs: the prepared one, or one made for an NPU.
        prepared: What was measured of the prepared graphs.
        accepted: Whether the user takes a precision that does not hold.
    """
    return {
        name: _with_precision(prepared.sources[name], _precision(prepared, name, entry), accepted)
        for name, entry in plan.components.items()
    }


def require_precision(sources: Mapping[str, SourceRecord], reporter: ProgressReporter) -> None:
    """Refuses formats that lose what the model computes.

    Args:
        sources: From `planned_sources`.
        reporter: Told of what was accepted.

    Raises:
        AgreementError: A component is beyond its bound and was not accepted.
    """
    for name, source in sources.items():
        precision = source.precision
        if precision is None or precision.passed:
            continue
        if not precision.accepted:
            raise _lost(name, precision)
        reporter.note(f"precision loss accepted: {name}: {describe_loss(precision)}")


def _precision(prepared: Prepared, name: str, entry: ComponentPlan) -> PrecisionRecord | None:
    return prepared.sources[name].precision if entry.npu is None else entry.npu.precision


def _with_precision(source: SourceRecord, precision: PrecisionRecord | None, accepted: bool) -> SourceRecord:
    if precision is not None and accepted:
        precision = precision.accept()
    return source.model_copy(update={"precision": precision})


def _lost(name: str, precision: PrecisionRecord) -> AgreementError:
    return AgreementError(
        "the number formats lose what the model computes; nothing was written",
        where=f"component {name}" + (f", {precision.lost_at}" if precision.lost_at else ""),
        received=describe_loss(precision),
        remedy="give that layer another format (recipe, [[precision.overrides]]), choose by measurement (mode = "
        '"auto"), compute everything in float32 (docs/commands/recipe.md), record real inputs with --calibration, or '
        "take it as it is with --accept-precision-loss. The bounds are in the recipe's section [gates]",
    )
