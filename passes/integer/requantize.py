"""Requantisation of a component: from elementary float32 operators to integer node units."""

from __future__ import annotations

from collections.abc import Sequence

from passes.core.infer_shapes import InferShapes
from passes.core.run_passes import Pass, run_passes
from passes.integer.encoding_plan import LEAST_SQNR, EncodingPlan
from passes.integer.insert_integer_qdq import InsertIntegerQdq
from passes.integer.quantised_operands import QuantisedOperands
from passes.integer.ranges.observe_ranges import observe_ranges
from passes.integer.ranges.range_methods import range_method
from passes.integer.scheme import Scheme
from passes.structure.pipeline import structural_passes
from program.number_format import IntegerType
from program.program import Component, Feeds
from program.remark import Remark


def requantize(
    component: Component,
    scheme: Scheme,
    feeds: Sequence[Feeds],
    *,
    wide_factors: bool = True,
    method: str = "by_bits",
    least_sqnr: float = LEAST_SQNR,
) -> list[Remark]:
    """Gives every operator of a normalised float32 component integer operands and results, in place.

    Args:
        component: Elementary operators in float32, from `passes.pipeline.normalize`.
        scheme: Bits of activations and weights.
        feeds: Calibration inputs.
        wide_factors: Whether the processor multiplies two 16-bit activations.
        method: How ranges are chosen, one of `RANGE_METHODS`.
        least_sqnr: dB; an activation that 8 bits represent worse than this has 16.

    Returns:
        Remarks.

    Raises:
        PassError: There are no feeds, or a value is not finite.
    """
    remarks = run_passes(component, [*structural_passes(component), InferShapes()])
    model = component.model
    observed = observe_ranges(model, feeds, range_method(method), scheme.activation)
    plan = EncodingPlan(model.graph, observed, scheme, wide_factors, least_sqnr=least_sqnr)
    operands = QuantisedOperands(component.name, scheme, plan, gain_type(scheme, wide_factors))
    passes: list[Pass] = [InsertIntegerQdq(component.name, plan, operands), InferShapes()]
    return remarks + run_passes(component, passes)


def gain_type(scheme: Scheme, wide_factors: bool) -> IntegerType:
    """Returns the type of a normalisation's gain.

    uint8 is taken everywhere and in every scheme. Where activations have 16 bits it is the coarsest rounding of the
    whole layer, and processors with 16-bit factors take int16. A float gain would make the whole normalisation float.
    """
    return IntegerType.INT16 if wide_factors and scheme is not Scheme.A8W8 else IntegerType.UINT8
