"""The pass pipelines: normalisation of a captured component, and its quantisation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes
from passes.core.rewrite import COMPUTE_KEY, is_op
from passes.core.run_passes import OnPass, Pass, run_passes
from passes.float.convert_float16 import ConvertFloat16
from passes.float.insert_fp8_qdq import ActivationScales, InsertFp8Qdq
from passes.float.precision import PrecisionPolicy
from passes.float.widen_values import WidenValues
from passes.float.widening import Widening
from passes.normalize.canonicalize_axes import CanonicalizeAxes
from passes.normalize.center_variance import CenterVariance
from passes.normalize.convert_patch_convolution import ConvertPatchConvolution
from passes.normalize.decompose.decompose_attention import DecomposeAttention
from passes.normalize.decompose.decompose_group_query_attention import DecomposeGroupQueryAttention
from passes.normalize.decompose.decompose_rms_normalization import DecomposeRmsNormalization
from passes.normalize.decompose.decompose_rotary_embedding import DecomposeRotaryEmbedding
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.normalize.eliminate_noop import EliminateNoop
from passes.normalize.fold_constants import FoldConstants
from passes.normalize.fold_weight_transpose import FoldWeightTranspose
from passes.normalize.fuse_batch_normalization import FuseBatchNormalization
from passes.normalize.fuse_gelu import FuseGelu
from passes.normalize.merge_layout import MergeLayout
from passes.normalize.prefix_constants import PrefixConstants
from passes.normalize.split_gemm import SplitGemm
from passes.normalize.square_by_product import SquareByProduct
from passes.normalize.tag_modality import TagModality
from program.number_format import Format
from program.program import Component, Program
from program.remark import Remark

Factory = Callable[[Component, frozenset[str]], Pass]
"""(component, initializers that must keep their layout) → a fresh pass."""

PASSES: Mapping[str, Factory] = {
    "tag_modality": lambda component, _: TagModality(component.modality),
    "canonicalize_axes": lambda *_: CanonicalizeAxes(),
    "fold_constants": lambda component, _: FoldConstants(component.name),
    "infer_shapes": lambda *_: InferShapes(),
    "decompose_group_query_attention": lambda *_: DecomposeGroupQueryAttention(),
    "decompose_attention": lambda *_: DecomposeAttention(),
    "decompose_rotary_embedding": lambda *_: DecomposeRotaryEmbedding(),
    "decompose_rms_normalization": lambda *_: DecomposeRmsNormalization(),
    "fuse_batch_normalization": lambda *_: FuseBatchNormalization(),
    "fuse_gelu": lambda *_: FuseGelu(),
    "square_by_product": lambda *_: SquareByProduct(),
    "center_variance": lambda *_: CenterVariance(),
    "convert_patch_convolution": lambda *_: ConvertPatchConvolution(),
    "split_gemm": lambda *_: SplitGemm(),
    "fold_weight_transpose": lambda _, keep: FoldWeightTranspose(keep),
    "eliminate_noop": lambda *_: EliminateNoop(),
    "merge_layout": lambda *_: MergeLayout(),
    "eliminate_dead_nodes": lambda *_: EliminateDeadNodes(),
    "prefix_constants": lambda component, _: PrefixConstants(component.name),
}
"""Normalisation passes by the name a recipe uses."""

NORMALISATION = (
    "canonicalize_axes",
    "fold_constants",
    "infer_shapes",
    "tag_modality",
    # complex operators become elementary ones
    "decompose_group_query_attention",
    "decompose_attention",
    "decompose_rotary_embedding",
    "decompose_rms_normalization",
    "fuse_batch_normalization",
    "fuse_gelu",
    "square_by_product",
    "center_variance",
    # every product with a weight becomes MatMul(x, weight [inputs, outputs])
    "convert_patch_convolution",
    "split_gemm",
    "fold_weight_transpose",
    # what the rewrites left behind
    "fold_constants",
    "infer_shapes",
    "eliminate_noop",
    "merge_layout",
    "eliminate_dead_nodes",
    "infer_shapes",
    "tag_modality",
    "prefix_constants",
)
"""The order in which `normalize` runs them."""

QUANTISED_NORMALISATION = (
    "canonicalize_axes",
    "fold_constants",
    "infer_shapes",
    "eliminate_dead_nodes",
    "tag_modality",
    "prefix_constants",
)
"""The same for graphs that come quantised: their integers stay, and so do the operators between them."""


def normalize(
    component: Component,
    keep: frozenset[str] = frozenset(),
    names: Sequence[str] = NORMALISATION,
    on_pass: OnPass | None = None,
) -> list[Remark]:
    """Rewrites a captured component, in place, to elementary operators with tagged modality and static shapes.

    Args:
        component: The component.
        keep: Initializers whose layout must stay, from `directly_read_weights`.
        names: Passes to run, by their names in `PASSES`.
        on_pass: Observer.

    Returns:
        Remarks.

    Raises:
        PassError: An unknown pass, or a graph a pass refuses.
    """
    return run_passes(component, [create_pass(name, component, keep) for name in names], on_pass)


def quantize(
    component: Component,
    policy: PrecisionPolicy,
    scales: ActivationScales,
    on_pass: OnPass | None = None,
    widening: Widening | None = None,
) -> list[Remark]:
    """Gives a normalised component its precision, in place: float16 base if asked for, then FP8 layers.

    Args:
        component: The normalised component.
        policy: Which layer gets which format.
        scales: From calibration of this component.
        on_pass: Observer.
        widening: What float16 would lose; nothing, where it was not observed.

    Returns:
        Remarks: the format of each layer and why, clamped constants, nodes kept in float32.

    Raises:
        PassError: A layer is to be float32 but the graph was captured in float16, or an input was not calibrated.
    """
    _tag_float32(component, policy)
    passes: list[Pass] = []
    if policy.base is Format.FLOAT16:
        wide = widening or Widening({})
        passes = [WidenValues(wide.ranges, wide.weights), ConvertFloat16(wide.boundaries(component))]
    passes += [InsertFp8Qdq(policy, component.name, scales), InferShapes()]
    return run_passes(component, passes, on_pass)


def _tag_float32(component: Component, policy: PrecisionPolicy) -> None:
    """Tags the layers the policy puts into float32, for `ConvertFloat16`."""
    graph = component.model.graph
    narrow = any(
        value.dtype == ir.DataType.FLOAT16 for value in (*graph.inputs, *graph.initializers.values())
    )
    for node in graph:
        if policy.format_of(node).format is not Format.FLOAT32:
            continue
        if narrow:
            raise PassError(
                "a graph captured in float16 cannot compute in float32",
                where=f"component {component.name}, node {node.name}",
                received=f"format float32: {policy.format_of(node).reason}",
                remedy="capture the model in float32, or choose float16",
            )
        node.metadata_props[COMPUTE_KEY] = "float32"


def create_pass(name: str, component: Component, keep: frozenset[str] = frozenset()) -> Pass:
    """Makes a normalisation pass by name.

    Raises:
        PassError: There is no such pass.
    """
    if name not in PASSES:
        raise PassError("unknown pass", received=name, remedy=f"use one of {', '.join(sorted(PASSES))}")
    return PASSES[name](component, keep)


def directly_read_weights(program: Program) -> frozenset[str]:
    """Returns the weights that some node of the program reads untransposed and another one transposed.

    Such a weight (an embedding table tied to the LM head) stays as it is, so that it is stored once.
    """
    return _shared(program.components.values())


def _shared(components: Iterable[Component]) -> frozenset[str]:
    uses: Counter[tuple[str, bool]] = Counter()
    for component in components:
        for name, value in component.model.graph.initializers.items():
            for use in value.uses():
                uses[name, is_op(use.node, "Transpose", "Gemm")] += 1
    return frozenset(name for name, turned in uses if turned and (name, False) in uses)
