"""Tidies a freshly imported graph: folds small constants, drops what has no effect, names everything once.

The rewrite rules that onnxscript applies by default are left out: on captured graphs they find nothing but casts to the
same type, and matching them takes half of the time of capturing a large model.
"""

from __future__ import annotations

import logging
import math

import onnx_ir as ir
from onnx_ir.passes import common

from program.identities import remove_identities

# it warns about each LayerNormalization it leaves as it is, which is no news to a user
logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)
# a shape it cannot infer is refused by name later on; its traceback is no news to a user either
logging.getLogger("onnx_ir.passes.common.shape_inference").setLevel(logging.ERROR)
# and about each constant that is an output, which it keeps
logging.getLogger("onnx_ir.passes.common.initializer_deduplication").setLevel(logging.ERROR)

_FILLING_ELEMENTS = 1 << 10

_FOLDED_ELEMENTS = 1 << 20
"""The folder computes a constant before it finds it too large; one that would be larger than this is not computed."""

_GROWING = {"CenterCropPad", "Expand", "OneHot", "Pad", "Range", "Resize", "Tile", "Upsample"}
"""Operators whose results may be larger than their inputs by any factor."""


def simplify(model: ir.Model) -> None:
    """Simplifies in place; initializers above a few kilobytes are not read."""
    import onnxscript.optimizer  # takes longer than it takes to refuse a file

    _write_casts(model.graph)
    onnxscript.optimizer.fold_constants(model, should_fold=_is_folded)
    common.ShapeInferencePass()(model)
    _remove_casts_to_same_type(model.graph)
    remove_identities(model.graph)
    ir.passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)


def _is_folded(node: ir.Node) -> bool | None:
    """Tells the folder what is too large, and to fold small fillings, which it leaves out whatever their size.

    Paddings and shapes are made from fillings.
    """
    if node.op_type != "ConstantOfShape" or node.domain != "":
        return False if any(_is_too_large(node, value) for value in node.outputs) else None
    sizes = ir.convenience.get_const_tensor(node.inputs[0]) if node.inputs[0] is not None else None
    return True if sizes is not None and math.prod(sizes.numpy().tolist()) <= _FILLING_ELEMENTS else None


def _is_too_large(node: ir.Node, value: ir.Value) -> bool:
    if value.shape is None or not value.shape.is_static():
        return node.op_type in _GROWING
    given = sum(_size(source) for source in node.inputs if source is not None)
    return _size(value) > max(_FOLDED_ELEMENTS, given)


def _size(value: ir.Value) -> int:
    return math.prod(value.shape.numpy()) if value.shape is not None and value.shape.is_static() else 0


def _write_casts(graph: ir.Graph) -> None:
    """CastLike → Cast. The folder does it too, but forgets that FP8 need not saturate."""
    for node in list(graph.all_nodes()):
        if node.op_type != "CastLike" or node.domain != "" or node.inputs[1] is None:
            continue
        wanted = node.inputs[1].dtype
        if wanted is not None:
            node.op_type = "Cast"
            node.resize_inputs(1)
            node.attributes.add(ir.AttrInt64("to", int(wanted)))


def _remove_casts_to_same_type(graph: ir.Graph) -> None:
    for node in list(graph.all_nodes()):
        if node.op_type != "Cast" or node.domain != "" or node.inputs[0] is None:
            continue
        source, result = node.inputs[0], node.outputs[0]
        if source.dtype == result.dtype and source.dtype is not None and not result.is_graph_output():
            result.replace_all_uses_with(source)
