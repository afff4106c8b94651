"""The results of all cases as a page, by operator."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.conformance.check import INTERNAL, REFUSED, RIGHT, WRONG

NOT_APPLICABLE = "not applicable"
KINDS = (RIGHT, REFUSED, WRONG, INTERNAL, NOT_APPLICABLE)
_PACKAGES = ("onnx", "onnx-ir", "onnxscript", "apache-tvm", "ziglang")
_SHOWN_REASONS = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One case and what became of it.

    Attributes:
        operator: Under test.
        test: Its name.
        variant: With inputs or with constants.
        kind: One of `KINDS`.
        detail: Why.
        seconds: Spent on it; not part of the page.
    """

    operator: str
    test: str
    variant: str
    kind: str
    detail: str = ""
    seconds: float = 0.0


def totals(rows: Sequence[Row]) -> str:
    """Returns the number of cases of each kind, in words."""
    counts = Counter(row.kind for row in rows)
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def write_table(rows: Sequence[Row], path: Path, device: str) -> None:
    """Writes the page; equal results give equal bytes.

    Args:
        rows: Of all cases.
        path: Of the Markdown file.
        device: Whose CPU code was emulated.
    """
    by_operator: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_operator[row.operator].append(row)
    lines = [*_head(rows, device), "| operator | " + " | ".join(KINDS) + " | reasons |"]
    lines.append("|---|" + "---:|" * len(KINDS) + "---|")
    lines += [_line(operator, by_operator[operator]) for operator in sorted(by_operator)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _head(rows: Sequence[Row], device: str) -> list[str]:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    return [
        "# The standard's tests of single operators",
        "",
        "`python -m benchmarks.onnx_conformance` compiles every single-operator model of `onnx.backend.test` for the",
        f"CPU of `{device}` in float32, runs the binary in emulation on the test's own inputs, and compares with the",
        "test's own outputs: within the test's own relative bound (0.001 by default; two steps of a float16) and an",
        "absolute one of 1e-5, integers and truth values exactly. Each model is taken as it is, and once more with all",
        "inputs but the first float one as constants. *Refused* is an error that says what is not supported; *not",
        "applicable* are dynamic shapes, sequences, strings and random numbers. *Written out* are the same tests with",
        "the operator replaced by the simpler ones that the standard defines it by.",
        "",
        f"Versions: {versions}.",
        "",
        f"Of {len(rows)} models: {totals(rows)}.",
        "",
    ]


def _line(operator: str, rows: Sequence[Row]) -> str:
    counts = Counter(row.kind for row in rows)
    numbers = " | ".join(str(counts[kind] or "") for kind in KINDS)
    return f"| {operator} | {numbers} | {_reasons(rows)} |"


def _reasons(rows: Sequence[Row]) -> str:
    """What was said most often, without what differs from test to test."""
    found = Counter(row.detail.replace("|", "\\|") for row in rows if row.kind != RIGHT and row.detail)
    listed = [reason for reason, _ in sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))]
    more = len(listed) - _SHOWN_REASONS
    return "; ".join(listed[:_SHOWN_REASONS]) + (f"; {more} more" if more > 0 else "")
