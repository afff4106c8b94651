"""What HTP's compiler needs of a graph, in order."""

from __future__ import annotations

from exporter.program import Component
from passes.eliminate_dead_nodes import EliminateDeadNodes
from passes.eliminate_noop import EliminateNoop
from passes.htp.flatten_rms_normalization import FlattenRmsNormalization
from passes.htp.fold_fp8 import FoldFp8
from passes.htp.fold_input_free import FoldInputFree
from passes.htp.fuse_rms_normalization import FuseRmsNormalization
from passes.htp.separate_activation import SeparateActivation
from passes.htp.tabulate_angles import TabulateAngles
from passes.merge_layout import MergeLayout
from passes.remark import Remark
from passes.run_passes import Pass, run_passes


def structural_passes(component: Component) -> list[Pass]:
    """Returns fresh passes that give a graph the structure HTP takes, whatever its precision.

    Args:
        component: The component they will run on.
    """
    return [
        FuseRmsNormalization(),
        FlattenRmsNormalization(),
        TabulateAngles(_positions(component)),
        FoldInputFree(component.name),
        EliminateNoop(),
        MergeLayout(),
        EliminateDeadNodes(),
    ]


def legalize_float16(component: Component) -> list[Remark]:
    """Rewrites a component, in place, to a graph that HTP computes in float16."""
    passes = [FoldFp8(component.name), *structural_passes(component), SeparateActivation()]
    return run_passes(component, passes)


def _positions(component: Component) -> int | None:
    """Returns the number of positions a decoder can reach: the columns of its attention mask."""
    masks = [spec for spec in component.inputs if spec.name == "mask" and spec.shape]
    return masks[0].shape[-1] if masks else None
