"""Chooses each layer's format by measurement."""

from __future__ import annotations

from collections.abc import Iterable

from passes.float.layer_error import LayerError
from passes.float.precision import LayerFormat
from program.number_format import FP8_FORMATS, Format
from program.remark import Remark


def choose_formats(errors: Iterable[LayerError], budget: float, base: Format) -> dict[str, LayerFormat]:
    """Picks, per weight, the FP8 format with the least output error, or the base format beyond the budget.

    A weight that several layers or components use (prefill and decode) counts with its largest error, so that it
    has one format and is stored once.

    Args:
        errors: Measurements of all components.
        budget: Largest relative output error of a layer in FP8.
        base: Format of layers beyond it.

    Returns:
        LayerFormat by weight name; use it as `PrecisionPolicy.measured`.
    """
    worst: dict[str, dict[Format, float]] = {}
    for error in errors:
        known = worst.setdefault(error.weight, dict.fromkeys(FP8_FORMATS, 0.0))
        for fmt in FP8_FORMATS:
            known[fmt] = max(known[fmt], error.relative[fmt])
    return {weight: _choose(relative, budget, base) for weight, relative in sorted(worst.items())}


def auto_remarks(errors: Iterable[LayerError], choices: dict[str, LayerFormat]) -> list[Remark]:
    """Explains the choices, with the error of both formats."""
    return [
        Remark(
            "auto_precision",
            error.node,
            error.modality,
            choices[error.weight].format.value,
            choices[error.weight].reason,
            {f"{fmt.value}_relative_error": error.relative[fmt] for fmt in FP8_FORMATS},
        )
        for error in errors
    ]


def _choose(relative: dict[Format, float], budget: float, base: Format) -> LayerFormat:
    best = min(FP8_FORMATS, key=lambda fmt: relative[fmt])
    other = Format.E5M2 if best is Format.E4M3 else Format.E4M3
    measured = f"measured {relative[best]:.4f} in {best.value}, {relative[other]:.4f} in {other.value}"
    if relative[best] > budget:
        return LayerFormat(base, f"{measured}; the budget is {budget:g}")
    return LayerFormat(best, measured)
