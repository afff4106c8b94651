"""What HTP's compiler needs of a graph, in order."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.program import Component
from passes.convert_float16 import ConvertFloat16
from passes.eliminate_dead_nodes import EliminateDeadNodes
from passes.eliminate_noop import EliminateNoop
from passes.fuse_gelu import FuseGelu
from passes.htp.decompose_softmax import DecomposeSoftmax
from passes.htp.flatten_rms_normalization import FlattenRmsNormalization
from passes.htp.fold_fp8 import FoldFp8
from passes.htp.fold_input_free import FoldInputFree
from passes.htp.fuse_rms_normalization import FuseRmsNormalization
from passes.htp.limit_masks import LimitMasks
from passes.htp.order_operands import OrderOperands
from passes.htp.scale_values import ScaleValues
from passes.htp.separate_activation import SeparateActivation
from passes.htp.split_transpose import SplitTranspose
from passes.htp.tabulate_angles import TabulateAngles
from passes.infer_shapes import InferShapes
from passes.merge_layout import MergeLayout
from passes.remark import Remark
from passes.run_passes import Pass, run_passes
from passes.value_ranges import ValueRange


def structural_passes(component: Component) -> list[Pass]:
    """Returns fresh passes that give a graph the structure HTP takes, whatever its precision.

    Inputs and outputs keep their names, types and shapes; integer inputs may stay int64. The passes leave weights
    unread, except those of a part that no input reaches. Operators that HTP refuses stay: the target places them on
    another processor, or names them.

    Args:
        component: The normalised component they will run on.
    """
    return [
        FuseGelu(),
        FuseRmsNormalization(),
        FlattenRmsNormalization(),
        TabulateAngles(_positions(component)),
        FoldInputFree(component.name),
        SplitTranspose(),
        OrderOperands(),
        LimitMasks(),
        EliminateNoop(),
        MergeLayout(),
        EliminateDeadNodes(),
    ]


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


def _positions(component: Component) -> int | None:
    """Returns the number of positions a decoder can reach: the columns of its attention mask."""
    masks = [spec for spec in component.inputs if spec.name == "mask" and spec.shape]
    return masks[0].shape[-1] if masks else None
