"""Quantises a component for 8-bit vector units: uint8 activations, int8 weights, nothing wider."""

from __future__ import annotations

from collections.abc import Sequence

from passes.core.infer_shapes import InferShapes
from passes.core.run_passes import run_passes
from passes.integer.encoding_plan import EncodingPlan
from passes.integer.fuse_bias import FuseBias
from passes.integer.insert_integer_qdq import InsertIntegerQdq
from passes.integer.merge_activation import MergeActivation
from passes.integer.quantised_operands import QuantisedOperands
from passes.integer.ranges.observe_ranges import observe_ranges
from passes.integer.ranges.range_methods import range_method
from passes.integer.scheme import Scheme
from passes.structure.pipeline import structural_passes
from program.program import Component, Feeds
from program.remark import Remark
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.npu_format import A8W8


def quantise_for_vector_units(
    component: Component, feeds: Sequence[Feeds], method: str = "by_bits"
) -> list[Remark]:
    """Gives every operator of a normalised float32 component 8-bit operands and results, in place.

    Unlike `requantize`, which follows HTP: no activation gets 16 bits, gains of LayerNormalization stay real numbers
    (they become part of a multiplier), biases belong to their products, and a ReLU to the layer before it.

    Args:
        component: Elementary operators in float32, from `passes.pipeline.normalize`.
        feeds: Calibration inputs.
        method: How ranges are chosen, one of `RANGE_METHODS`.

    Returns:
        Remarks.

    Raises:
        PassError: There are no feeds, or a value is not finite.
    """
    remarks = run_passes(component, [*structural_passes(component), FuseBias(), InferShapes()])
    scheme, model = Scheme.A8W8, component.model
    observed = observe_ranges(model, feeds, range_method(method), scheme.activation)
    plan = EncodingPlan(model.graph, observed, scheme, wide_factors=False, wide_values=False)
    operands = QuantisedOperands(component.name, scheme, plan, None)
    insert = InsertIntegerQdq(component.name, plan, operands)
    return remarks + run_passes(component, [insert, MergeActivation(), InferShapes()])


def legalize_for_vector_units(job: LegalizeJob) -> Legalized:
    """Rewrites a component in place; its format can only be 8 bits everywhere.

    Raises:
        PassError: There are no feeds, or a value is not finite.
    """
    return Legalized(A8W8, quantise_for_vector_units(job.component, job.feeds))
