"""Compares a binary with its reference and applies the bound of its precision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from npuc.artifact.manifest import Agreement, BoundRecord
from npuc.settings.recipe import Gates
from program.agreement import Energy, energies, relative_error
from program.number_format import FP8_FORMATS
from program.program import Array, Executor, Feeds
from program.quantities import NO_JOINTS, Joints
from targets.contract.npu_format import Gate

EDGE_SQNR = 10.0
"""Least ratio, dB, of an NPU's binary on samples at the edge: a wrong operator leaves less."""


@dataclasses.dataclass(frozen=True)
class Bound:
    """What must hold for one component.

    FP8 layers round activations to codes a few percent apart. A difference in the last bit before such a
    rounding can flip a code, so the largest difference is one code wide whatever the implementation; the
    signal-to-noise ratio over all values tells a few flips from a wrong kernel. Components without FP8 are
    held to the largest difference.

    Attributes:
        max_relative_error: Upper limit, or None.
        min_sqnr: Lower limit in dB, or None.
        exact: Whether the binary has to equal the exact reference of its processor bit by bit, too.
        own: Whether the ratio is what the reference itself keeps when its inputs change in the last place: see
            `npuc.compare.binary.sensitivity`.
    """

    max_relative_error: float | None = None
    min_sqnr: float | None = None
    exact: bool = False
    own: bool = False

    def holds(self, relative_error: float, sqnr: float | None) -> bool:
        """Whether the measured figures are within the bound."""
        if self.max_relative_error is not None and not relative_error <= self.max_relative_error:
            return False
        return self.min_sqnr is None or sqnr is None or sqnr >= self.min_sqnr

    @classmethod
    def of(cls, record: BoundRecord) -> Bound:
        """Returns the bound that a manifest records."""
        return cls(**record.model_dump())

    def record(self) -> BoundRecord:
        """Returns what a manifest records."""
        return BoundRecord(**dataclasses.asdict(self))


def bound_for(formats: Iterable[str], base: str, gates: Gates) -> Bound:
    """Chooses the bound by the least precise format in a component.

    Args:
        formats: Formats of its layers.
        base: Format of everything else.
        gates: Limits of the recipe.
    """
    formats = set(formats)
    if "int8" in formats:
        return Bound(min_sqnr=gates.min_sqnr_npu_8_bit)
    if formats & set(FP8_FORMATS):
        return Bound(min_sqnr=gates.min_sqnr_fp8)
    if base == "float16":
        return Bound(max_relative_error=gates.max_relative_error_float16)
    return Bound(max_relative_error=gates.max_relative_error_float32)


def npu_bound(gate: Gate, gates: Gates, layers: int = 1) -> Bound:
    """Chooses the bound of what an NPU computes.

    The gates hold for one layer. Every layer adds rounding noise of its own, independent of the others', so the noise
    power of n layers is n times that of one: 10 log10(n) dB less.

    Args:
        gate: Of its number format.
        gates: Limits of the recipe.
        layers: Layers in sequence.
    """
    limits: dict[Gate, float] = {
        "float16": gates.min_sqnr_npu_float16,
        "16 bit": gates.min_sqnr_npu_16_bit,
        "8 bit": gates.min_sqnr_npu_8_bit,
    }
    return Bound(min_sqnr=round(limits[gate] - 10 * math.log10(max(1, layers)), 1))


def _as_it_is(executor: Executor) -> Executor:
    return executor


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a binary is compared with.

    Attributes:
        run: The ONNX graph.
        exact: Returns what the binary has to equal bit by bit; None where there is no such thing.
        joints: Outputs that are joined of several tensors.
        decode: Wraps an executor of either side so that it returns numbers where it returned codes.
    """

    run: Executor
    exact: Executor | None = None
    joints: Mapping[str, Joints] = dataclasses.field(default_factory=dict)
    decode: Callable[[Executor], Executor] = _as_it_is


def compare(reference: Reference, candidate: Executor, feeds: Sequence[Feeds], bound: Bound) -> Agreement:
    """Runs both on every sample and measures the difference of each output; the worst one counts.

    Args:
        reference: What the binary was made from.
        candidate: The binary in emulation.
        feeds: Samples, at least one.
        bound: What must hold.
    """
    largest, run, candidate = 0.0, reference.decode(reference.run), reference.decode(candidate)
    exact = None if reference.exact is None else reference.decode(reference.exact)
    sums: dict[tuple[str, int], Energy] = {}
    equal = exact is not None or not bound.exact
    for feed in feeds:
        expected, actual = run(feed), candidate(feed)
        if bound.exact and exact is not None:
            equal = equal and _same_bits(exact(feed), actual)
        for name, value in expected.items():
            joints = reference.joints.get(name, NO_JOINTS)
            largest = max(largest, relative_error(value, _same_rounding(value, actual[name]), joints))
            for part, energy in enumerate(energies(value, actual[name], joints)):
                sums[name, part] = sums.get((name, part), Energy()) + energy
    sqnr = min((energy.ratio for energy in sums.values()), default=math.inf)
    return Agreement(
        executed=True,
        samples=len(feeds),
        max_relative_error=largest,
        sqnr=None if sqnr == math.inf else sqnr,
        bound=bound.record(),
        passed=equal and bound.holds(largest, sqnr),
    )


def _same_rounding(expected: Array, actual: Array) -> Array:
    """Returns codes of 8 or 16 bits with those one step away as expected: a tie may be rounded either way."""
    if expected.dtype.kind not in "iu" or expected.dtype.itemsize > 2 or expected.shape != actual.shape:
        return actual
    steps = np.abs(expected.astype(np.int64) - actual.astype(np.int64))
    return np.where(steps <= 1, expected, actual)


def compare_apart(
    reference: Reference, candidate: Executor, feeds: Sequence[Feeds], ordinary: int, bound: Bound
) -> Agreement:
    """Compares with samples at the edge apart, as for an NPU: they are held to a bound of their own.

    Vendors approximate functions for values of the usual size, and number formats are calibrated for them.

    Args:
        reference: What the binary was made from.
        candidate: The binary in emulation.
        feeds: Samples, those at the edge last.
        ordinary: How many of them are not at the edge; none for all.
        bound: What must hold for these.

    Returns:
        The agreement on ordinary samples; that at the edge where it does not hold.
    """
    agreement = compare(reference, candidate, feeds[:ordinary] or feeds, bound)
    if not 0 < ordinary < len(feeds) or not agreement.passed:
        return agreement
    at_edge = compare(reference, candidate, feeds[ordinary:], Bound(min_sqnr=EDGE_SQNR, exact=bound.exact))
    return agreement.model_copy(update={"samples": len(feeds)}) if at_edge.passed else at_edge


def _same_bits(expected: Feeds, actual: Feeds) -> bool:
    return all(np.array_equal(value, actual[name]) for name, value in expected.items())


def worst(agreements: Iterable[Agreement]) -> Agreement:
    """Returns the agreement of a binary that was executed for several chips: the worst figures of all.

    Args:
        agreements: At least one, all held to the same bound.
    """
    rows = list(agreements)
    ratios = [row.sqnr for row in rows if row.sqnr is not None]
    return rows[0].model_copy(
        update={
            "max_relative_error": max(row.max_relative_error for row in rows),
            "sqnr": min(ratios, default=None),
            "passed": all(row.passed for row in rows),
        }
    )
