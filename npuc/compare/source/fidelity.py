"""The way from the user's model to the binary, one line a component: source → rewritten → final → binary."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from npuc.artifact.manifest import Agreement, Manifest
from npuc.compare.records import NOT_FINITE, PrecisionRecord, SourceRecord

LOST = "LOST"
ACCEPTED = "loss accepted"
FAILED = "FAILED"


@dataclasses.dataclass(frozen=True)
class FidelityRow:
    """One component, in words.

    Attributes:
        component: Its name.
        source: What ran the user's model, or why it is not compared.
        rewritten: How far the rewritten graph is from it.
        final: How far the graph that is lowered is from it.
        decisions: Which share of its decisions stay.
        binary: How far the binaries are from the graph that is lowered; the worst of its parts.
        verdict: Empty where all is within bounds, else `LOST`, `ACCEPTED` or `FAILED`.
    """

    component: str
    source: str
    rewritten: str
    final: str
    decisions: str
    binary: str
    verdict: str


def fidelity_rows(
    manifest: Manifest,
    agreements: Mapping[str, Agreement] | None = None,
    sources: Mapping[str, SourceRecord] | None = None,
) -> list[FidelityRow]:
    """Returns one row a component.

    Args:
        manifest: Of the artifact.
        agreements: By segment, where they were measured anew.
        sources: By component, where they were measured anew.
    """
    rows = []
    for component in manifest.components:
        source = (sources or {}).get(component.name, component.source)
        binaries = [(agreements or {}).get(s.name, s.agreement) for s in component.segments]
        precision, rewrites = source.precision, source.rewrites
        rows.append(
            FidelityRow(
                component.name,
                source.method or f"not compared: {source.missing}",
                "" if rewrites is None else f"{rewrites.max_relative_error:.1e}",
                "not compared" if precision is None else _ratio(precision.sqnr),
                "" if precision is None else _decisions(precision),
                _binary(binaries),
                _verdict(precision, binaries),
            )
        )
    return rows


def fidelity_notes(manifest: Manifest, sources: Mapping[str, SourceRecord] | None = None) -> list[str]:
    """Returns what a reader has to know beside the rows: other references, wider bounds, where a signal is lost."""
    notes: dict[str, list[str]] = {}
    for component in manifest.components:
        source = (sources or {}).get(component.name, component.source)
        if source.precision_against:
            text = f"final: compared with {source.precision_against}"
            notes.setdefault(text, []).append(component.name)
        if source.rewrites is not None and source.rewrites.reason:
            text = f"rewritten: held to {source.rewrites.bound:.1e}, because {source.rewrites.reason}"
            notes.setdefault(text, []).append(component.name)
        if source.precision is not None and not source.precision.passed:
            text = f"final: {describe_loss(source.precision)}"
            text += f"; {source.precision.lost_at}" if source.precision.lost_at else ""
            notes.setdefault(text, []).append(component.name)
    return [f"{', '.join(names)}: {text}" for text, names in notes.items()]


def describe_loss(precision: PrecisionRecord) -> str:
    """Returns what was measured of a component beyond its bound, in words."""
    edges = f"; not finite where {', '.join(precision.edges)}" if precision.edges else ""
    share = _decisions(precision)
    words = [] if share and precision.sqnr is None else [_ratio(precision.sqnr)]
    ratio = f"output {precision.output}: " + ", ".join([*words, *([f"decisions {share}"] if share else [])])
    return f"{ratio}{edges}; bound: {precision.bound}"


def _ratio(sqnr: float | None) -> str:
    if sqnr is None:
        return "exact"
    return "not finite" if sqnr == NOT_FINITE else f"{sqnr:.1f} dB"


def _decisions(precision: PrecisionRecord) -> str:
    if precision.top is None:
        return ""
    divergence = "" if not precision.divergence else f", KL {precision.divergence:.1g}"
    return f"{precision.top:.0%} of {precision.decisions}{divergence}"


def _binary(binaries: Iterable[Agreement]) -> str:
    executed = [row for row in binaries if row.executed]
    if not executed:
        return "not executed"
    return _ratio(min((row.sqnr for row in executed if row.sqnr is not None), default=None))


def _verdict(precision: PrecisionRecord | None, binaries: Iterable[Agreement]) -> str:
    if not all(row.passed for row in binaries if row.executed):
        return FAILED
    if precision is None or precision.passed:
        return ""
    return ACCEPTED if precision.accepted else LOST
