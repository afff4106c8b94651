"""The passes that give a graph the structure accelerators take, in order."""

from __future__ import annotations

from passes.core.run_passes import Pass
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.normalize.eliminate_noop import EliminateNoop
from passes.normalize.fuse_gelu import FuseGelu
from passes.normalize.merge_layout import MergeLayout
from passes.structure.flatten_rms_normalization import FlattenRmsNormalization
from passes.structure.fold_input_free import FoldInputFree
from passes.structure.fuse_rms_normalization import FuseRmsNormalization
from passes.structure.limit_masks import LimitMasks
from passes.structure.order_operands import OrderOperands
from passes.structure.split_transpose import SplitTranspose
from passes.structure.tabulate_angles import TabulateAngles
from program.program import Component


def structural_passes(component: Component) -> list[Pass]:
    """Returns fresh passes that give a graph the structure that accelerators take, whatever its precision.

    Inputs and outputs keep their names, types and shapes; integer inputs may stay int64. The passes leave weights
    unread, except those of a part that no input reaches. Operators that a processor refuses stay: the target places
    them on another processor, or names them.

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


def _positions(component: Component) -> int | None:
    """Returns the number of positions a decoder can reach: the columns of its attention mask."""
    masks = [spec for spec in component.inputs if spec.name == "mask" and spec.shape]
    return masks[0].shape[-1] if masks else None
