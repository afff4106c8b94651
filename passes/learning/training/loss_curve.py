"""The losses of a training run: as JSON, as CSV, and as a small picture."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DISTILLATION = "distillation_loss"
"""Stem of the files of a distillation's curve."""

_WIDTH, _HEIGHT, _MARGIN = 480, 200, 44
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
_MAX_POINTS = 240


@dataclasses.dataclass(frozen=True)
class LossPoint:
    """One step.

    Attributes:
        step: From 1.
        loss: Sum of the terms.
        terms: By name.
        learning_rate: Of the step.
        gradient_norm: Euclidean, before clipping; None where float16 overflowed and the step was left out.
    """

    step: int
    loss: float
    terms: Mapping[str, float]
    learning_rate: float
    gradient_norm: float | None


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """All steps of a run, those before an interruption too."""

    points: tuple[LossPoint, ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of each step."""
        return tuple(point.loss for point in self.points)

    def mean(self, first: int, last: int) -> float:
        """Returns the mean loss of steps `first` to `last`, both included, counted from 1."""
        chosen = [point.loss for point in self.points if first <= point.step <= last]
        return sum(chosen) / len(chosen)

    def to_json(self) -> list[dict[str, Any]]:
        """Returns the points as JSON."""
        return [dataclasses.asdict(point) for point in self.points]

    @classmethod
    def from_json(cls, rows: Sequence[Mapping[str, Any]]) -> LossCurve:
        """Reads what `to_json` wrote."""
        return cls(tuple(LossPoint(**row) for row in rows))

    def to_csv(self) -> str:
        """Returns a table: step, loss, each term, learning rate, gradient norm."""
        terms = self.term_names()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", "loss", *terms, "learning_rate", "gradient_norm"])
        for p in self.points:
            values = [p.terms.get(term, math.nan) for term in terms]
            norm = math.nan if p.gradient_norm is None else p.gradient_norm
            writer.writerow([p.step, *(f"{v:.7g}" for v in (p.loss, *values, p.learning_rate, norm))])
        return text.getvalue()

    def to_svg(self) -> str:
        """Returns a plot of the loss and its terms over the steps, the losses on a logarithmic axis."""
        lines = {"loss": self.losses}
        if len(self.term_names()) > 1:
            lines |= {
                name: tuple(p.terms.get(name, math.nan) for p in self.points) for name in self.term_names()
            }
        return _plot({name: _averaged(values) for name, values in lines.items()}, len(self.points))

    def write(self, folder: Path, name: str = "loss") -> None:
        """Writes `<name>.json`, `<name>.csv` and `<name>.svg`."""
        (folder / f"{name}.json").write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        (folder / f"{name}.csv").write_text(self.to_csv(), encoding="utf-8")
        (folder / f"{name}.svg").write_text(self.to_svg(), encoding="utf-8")

    def term_names(self) -> tuple[str, ...]:
        """Returns the names of the terms, sorted."""
        return tuple(sorted({name for point in self.points for name in point.terms}))


def _averaged(values: Sequence[float]) -> list[tuple[float, float]]:
    """Returns (place from 0 to 1, mean) of at most `_MAX_POINTS` runs of consecutive values above zero."""
    length = max(1, math.ceil(len(values) / _MAX_POINTS))
    result = []
    for start in range(0, len(values), length):
        run = [value for value in values[start : start + length] if value > 0 and math.isfinite(value)]
        if run:
            place = (start + min(len(values), start + length) - 1) / 2 / max(1, len(values) - 1)
            result.append((place, sum(run) / len(run)))
    return result


def _plot(lines: Mapping[str, list[tuple[float, float]]], steps: int) -> str:
    values = [value for points in lines.values() for _, value in points] or [1.0]
    low, high = math.log10(min(values)), math.log10(max(values))
    span = max(high - low, 0.1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="loss over {steps} steps" font-family="sans-serif" font-size="10">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="2" y="14">{10**high:.3g}</text>',
        f'<text x="2" y="{_HEIGHT - 18}">{10**low:.3g}</text>',
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT - 4}" text-anchor="end">step {steps}</text>',
    ]
    for index, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(_place(place, (math.log10(value) - low) / span) for place, value in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
        parts.append(
            f'<text x="{_MARGIN + 70 * index}" y="{_HEIGHT - 4}" fill="{colour}">{_escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _place(across: float, up: float) -> str:
    x = _MARGIN + across * (_WIDTH - _MARGIN - 8)
    return f"{x:.1f},{_HEIGHT - 22 - up * (_HEIGHT - 34):.1f}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
