"""Chooses the number format of an NPU by rule and by measured error."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from passes.integer.encoding_plan import LEAST_SQNR
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.agreement import decibels
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds
from program.remark import Remark

ERROR_BUDGET = 30.0
"""dB; the least ratio of a component's output to its quantisation noise."""

LEAST_SQNRS = (LEAST_SQNR, 40.0, 43.0)
"""dB; what 8 bits have to keep of an activation in an `a8w8` component, in the order they are tried. A higher limit
gives more activations 16 bits; above 43 dB hardly one of the bundled model's keeps 8."""

BY_SIZE = (Scheme.A16W4, Scheme.A8W8, Scheme.A16W8)
"""From the fewest bytes of weights, then of activations."""


@dataclasses.dataclass(frozen=True)
class MeasuredScheme:
    """One row of the comparison.

    Attributes:
        scheme: None for float16.
        weight_bytes: Of all initializers.
        sqnr: Of the worst output, in dB against float32; none where it was not measured.
        worst_output: Its name.
        least_sqnr: dB; activations that 8 bits represent worse have 16 in this row.
    """

    scheme: Scheme | None
    weight_bytes: int
    sqnr: float | None = None
    worst_output: str = ""
    least_sqnr: float = LEAST_SQNR


@dataclasses.dataclass(frozen=True)
class SchemeChoice:
    """What was chosen.

    Attributes:
        scheme: None for float16.
        reason: Why.
        measured: Everything that was compared, float16 first where the chip computes it.
        least_sqnr: Of the chosen row.
    """

    scheme: Scheme | None
    reason: str
    measured: tuple[MeasuredScheme, ...]
    least_sqnr: float = LEAST_SQNR

    def remarks(self, component: Component) -> list[Remark]:
        """Returns one remark for each row and one for the choice."""
        rows = [_remark(component, _name(row.scheme), "measured", _numbers(row)) for row in self.measured]
        return [*rows, _remark(component, f"{_name(self.scheme)} chosen", self.reason, {})]


def choose_scheme(
    component: Component,
    feeds: Sequence[Feeds],
    *,
    float16: bool,
    weight_budget: int | None = None,
    error_budget: float = ERROR_BUDGET,
    wide_factors: bool = True,
) -> SchemeChoice:
    """Picks float16 where the chip has it and its bytes fit; else the smallest scheme within the error budget.

    Every other feed calibrates and the rest measures, so that no scheme is judged on what it was fitted to; a single
    feed serves both ends. Where no scheme keeps the budget, the one with the least error is taken.

    Args:
        component: Normalised, in float32; stays as it is.
        feeds: Recorded inputs.
        float16: Whether the chip computes float16.
        weight_budget: Bytes the weights may take; no limit where not given.
        error_budget: Least signal-to-quantisation-noise ratio of each output, in dB.
        wide_factors: Whether the chip multiplies two 16-bit activations.

    Raises:
        PassError: There are no feeds, or a value is not finite.
    """
    half = MeasuredScheme(None, float16_bytes(component))
    if float16 and (weight_budget is None or half.weight_bytes <= weight_budget):
        limit = "there is no limit" if weight_budget is None else f"{weight_budget} fit"
        return SchemeChoice(None, f"the chip computes float16; {half.weight_bytes} bytes, {limit}", (half,))
    trials = _Trials(component, feeds, wide_factors)
    rows = [trials.measure(scheme, error_budget) for scheme in BY_SIZE]
    table = (half, *rows) if float16 else tuple(rows)
    return _decide(table, rows, weight_budget, error_budget)


def measure_scheme(
    component: Component,
    scheme: Scheme,
    feeds: Sequence[Feeds],
    *,
    wide_factors: bool = True,
    error_budget: float = ERROR_BUDGET,
) -> MeasuredScheme:
    """Measures one scheme as `choose_scheme` does: `a8w8` with as few 16-bit activations as the error budget allows.

    Args:
        component: As for `choose_scheme`.
        scheme: The scheme.
        feeds: Recorded inputs.
        wide_factors: Whether the chip multiplies two 16-bit activations.
        error_budget: Least signal-to-quantisation-noise ratio of each output, in dB.

    Raises:
        PassError: There are no feeds, or a value is not finite.
    """
    return _Trials(component, feeds, wide_factors).measure(scheme, error_budget)


class _Trials:
    """Requantises copies of a component; every other feed calibrates and the rest measures."""

    def __init__(self, component: Component, feeds: Sequence[Feeds], wide_factors: bool) -> None:
        self._component, self._wide_factors = component, wide_factors
        self._calibration, self._evaluation = feeds[::2], feeds[1::2] or feeds
        self._outputs = _run(component.model, self._evaluation)

    def measure(self, scheme: Scheme, error_budget: float) -> MeasuredScheme:
        """Returns the first trial within the budget, else the best."""
        rows = []
        for least_sqnr in LEAST_SQNRS if scheme is Scheme.A8W8 else LEAST_SQNRS[:1]:
            rows.append(self._try(scheme, least_sqnr))
            if (rows[-1].sqnr or 0.0) >= error_budget:
                return rows[-1]
        return max(rows, key=_ratio)

    def _try(self, scheme: Scheme, least_sqnr: float) -> MeasuredScheme:
        trial = _copy(self._component)
        requantize(
            trial,
            scheme,
            self._calibration,
            wide_factors=self._wide_factors,
            least_sqnr=least_sqnr,
        )
        row = _measure(trial, scheme, self._outputs, self._evaluation)
        return dataclasses.replace(row, least_sqnr=least_sqnr)


def float16_bytes(component: Component) -> int:
    """Returns the bytes of a component's initializers with two for each float."""
    tensors = [value.const_value for value in component.model.graph.initializers.values()]
    return sum(
        2 * tensor.size if tensor.dtype.is_floating_point() else tensor.nbytes
        for tensor in tensors
        if tensor is not None
    )


def signal_to_noise(reference: Sequence[Array], actual: Sequence[Array]) -> float:
    """Returns the ratio of Σ reference² to Σ (reference - actual)² over all runs, in dB."""
    pairs = zip(reference, actual, strict=True)
    noise = sum(float(np.square(np.subtract(a, b, dtype=np.float64)).sum()) for a, b in pairs)
    return decibels(sum(float(np.square(a, dtype=np.float64).sum()) for a in reference), noise)


def _decide(
    table: tuple[MeasuredScheme, ...],
    rows: Sequence[MeasuredScheme],
    weight_budget: int | None,
    error_budget: float,
) -> SchemeChoice:
    fitting = [row for row in rows if weight_budget is None or row.weight_bytes <= weight_budget]
    for row in fitting:
        if row.sqnr is not None and row.sqnr >= error_budget:
            reason = f"the smallest scheme with at least {error_budget:g} dB: {row.sqnr:.1f} dB"
            return SchemeChoice(row.scheme, reason, table, row.least_sqnr)
    if not fitting:
        least = min(rows, key=lambda row: row.weight_bytes)
        return SchemeChoice(
            least.scheme,
            f"no scheme fits {weight_budget} bytes; this is the smallest",
            table,
            least.least_sqnr,
        )
    best = max(fitting, key=_ratio)
    reason = f"no scheme reaches {error_budget:g} dB; this one has the least error: {best.sqnr:.1f} dB"
    return SchemeChoice(best.scheme, reason, table, best.least_sqnr)


def _ratio(row: MeasuredScheme) -> float:
    return -math.inf if row.sqnr is None else row.sqnr


def _run(model: ir.Model, feeds: Sequence[Feeds]) -> dict[str, list[Array]]:
    executor = OnnxExecutor(model)
    collected: dict[str, list[Array]] = {}
    for feed in feeds:
        for name, array in executor(feed).items():
            collected.setdefault(name, []).append(array)
    return collected


def _measure(
    trial: Component, scheme: Scheme, outputs: Mapping[str, list[Array]], feeds: Sequence[Feeds]
) -> MeasuredScheme:
    actual = _run(trial.model, feeds)
    ratios = {name: signal_to_noise(arrays, actual[name]) for name, arrays in outputs.items()}
    worst = min(ratios, key=lambda name: ratios[name])
    initializers = trial.model.graph.initializers.values()
    size = sum(value.const_value.nbytes for value in initializers if value.const_value is not None)
    return MeasuredScheme(scheme, size, ratios[worst], worst)


def _copy(component: Component) -> Component:
    copied = copy.copy(component)
    copied.model = component.model.clone()
    return copied


def _name(scheme: Scheme | None) -> str:
    return "float16" if scheme is None else scheme.value


def _numbers(row: MeasuredScheme) -> dict[str, float]:
    numbers = {"weight_bytes": float(row.weight_bytes)}
    if row.scheme is Scheme.A8W8:
        numbers["least_sqnr_of_8_bits_db"] = row.least_sqnr
    return numbers if row.sqnr is None else numbers | {"sqnr_db": row.sqnr}


def _remark(component: Component, what: str, why: str, numbers: Mapping[str, float]) -> Remark:
    return Remark("choose_scheme", component.name, component.modality.value, what, why, numbers)
