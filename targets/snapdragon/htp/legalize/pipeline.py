"""What HTP's compiler needs of a graph, in order."""

from __future__ import annotations

from collections.abc import Mapping

from passes.core.infer_shapes import InferShapes
from passes.core.run_passes import Pass, run_passes
from passes.float.convert_float16 import ConvertFloat16
from passes.float.scaling.scale_values import ScaleValues
from passes.float.value_ranges import ValueRange
from passes.structure.pipeline import structural_passes
from program.program import Component
from program.remark import Remark
from targets.snapdragon.htp.legalize.decompose_softmax import DecomposeSoftmax
from targets.snapdragon.htp.legalize.fold_fp8 import FoldFp8
from targets.snapdragon.htp.legalize.separate_activation import SeparateActivation


def legalize_float16(
    component: Component, ranges: Mapping[str, ValueRange] | None = None, *, fused_softmax: bool = False
) -> list[Remark]:
    """Rewrites a component, in place, to a graph that HTP computes in float16.

    Args:
        component: A normalised component in float32 or float16, with or without FP8. Float32 inputs and outputs
            become float16.
        ranges: From `observe_ranges` on this component; what leaves float16 is scaled.
        fused_softmax: Whether to keep HTP's own Softmax, one pass over the scores instead of five, which is less
            precise (see `DecomposeSoftmax`).

    Returns:
        Remarks: bytes of each FP8 weight before and after, tables, constants and limits.

    Raises:
        PassError: FP8 values that cannot be folded, or what leaves float16 and cannot be scaled.
    """
    passes: list[Pass] = [
        FoldFp8(component.name),
        *structural_passes(component),
        ScaleValues(ranges or {}),
        ConvertFloat16(),
        InferShapes(),
    ]
    if not fused_softmax:
        passes.append(DecomposeSoftmax())
    return run_passes(component, [*passes, SeparateActivation()])
