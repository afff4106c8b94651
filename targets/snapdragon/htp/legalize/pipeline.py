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

    What the structural passes avoid on HTP (measured with onnxruntime-qnn 2.7.0, QAIRT 2.51):

    * `FuseRmsNormalization`, `OrderOperands`: the compiler fails to finalise (error 1002) a decomposed normalisation
      whose scale is the first factor, and computes its squares in float16.
    * `FlattenRmsNormalization`: v75, v79 and v81 give wrong rows, without an error, where more than one axis of rows is
      longer than 1 and one of them is longer than 8 (3 dB); rank 3 with a batch of 1 agrees to 90 dB.
    * `FoldInputFree`: error 1002 for a LayerNormalization of a constant.
    * `SquareByProduct` (in `passes.pipeline`): Pow with 16-bit codes leaves 0.2 dB of the squares of a spectrum (v79).
    * `ScaleValues`: sums are kept wide inside products and normalisations (73.6 dB for deviations of 12000, v79), but
      ReduceL2 rounds the sum of squares (32.7 dB for a norm of 375).

    What requantisation follows: 16 × 16 bits are multiplied with a signed second factor only (an unsigned one keeps
    about 8 bits, 41 dB against 78), before v73 only 16 × 8; int4 weights without zero points decode wrongly (-3 dB);
    a float gain makes a normalisation float16, and a product that reads its codes has wrong rows on v69.

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
