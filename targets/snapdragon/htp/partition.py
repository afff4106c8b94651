"""Which nodes HTP takes: npuc's own rules, applied before the vendor's compiler sees a graph.

The operators are in `operators.toml`, with what was measured. The compiler has the last word: what it refuses in spite
of the rules is an error.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

import onnx_ir as ir

from targets.placing.coverage import Refusal
from targets.snapdragon.socs import HtpSoc

_QDQ = frozenset({"QuantizeLinear", "DequantizeLinear"})
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
_FP8 = frozenset({ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E5M2})
_QUANTISED = frozenset({ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.INT16})
_LARGEST_TRANSPOSE = 5


@functools.cache
def htp_operators() -> frozenset[str]:
    """Returns the operators of ai.onnx that HTP takes."""
    return frozenset(_table()["operators"]["taken"])


@functools.cache
def _refused_operators() -> dict[str, Refusal]:
    return {row["operator"]: Refusal(row["reason"], row["remedy"]) for row in _table()["refused"]}


@functools.cache
def _table() -> dict[str, Any]:
    text = (resources.files("targets.snapdragon.htp") / "operators.toml").read_text("utf-8")
    return tomllib.loads(text)


def htp_refusal(node: ir.Node, soc: HtpSoc) -> Refusal | None:
    """Says why HTP of a chip does not take a node; None where it does.

    Args:
        node: With inferred types and shapes.
        soc: The chip.
    """
    if node.op_type in _refused_operators():
        return _refused_operators()[node.op_type]
    if node.domain not in ("", "ai.onnx") or node.op_type not in htp_operators():
        return Refusal("no HTP operator is known for it", "decompose it into standard operators")
    for value in (*node.inputs, *node.outputs):
        if value is not None and (value.shape is None or not value.shape.is_static()):
            reason = f"the shape of {value.name} is not static"
            return Refusal(reason, "capture the model with fixed extents")
    return _format_refusal(node, soc) or _form_refusal(node)


def _format_refusal(node: ir.Node, soc: HtpSoc) -> Refusal | None:
    types = {value.dtype for value in (*node.inputs, *node.outputs) if value is not None}
    if types & _FP8:
        return Refusal("HTP has no FP8", "choose another scheme in the recipe: [precision] npu")
    if ir.DataType.BFLOAT16 in types:
        return Refusal("HTP's bfloat16 is not used by npuc", "capture the model in float32 or float16")
    if node.op_type in _QDQ:
        return None
    if types & _FLOATS and not soc.float16 and not _is_quantised(node):
        remedy = "choose an integer scheme in the recipe: [precision] npu"
        return Refusal(f"{soc.model} computes no float16", remedy)
    return None


def _form_refusal(node: ir.Node) -> Refusal | None:
    if node.op_type == "Transpose":
        shape = node.inputs[0].shape if node.inputs[0] is not None else None
        if shape is not None and len(shape) > _LARGEST_TRANSPOSE:
            return Refusal(f"HTP transposes at most {_LARGEST_TRANSPOSE} axes", "split the transpose")
    if node.op_type == "LayerNormalization" and _has_signed_8_bit_gain(node):
        reason = "HTP takes no signed 8-bit gain of a LayerNormalization"
        return Refusal(reason, "quantise the gain unsigned, or leave it in float")
    if _is_signed_8_bit(node):
        reason = "signed 8-bit activations give wrong numbers on HTP"
        return Refusal(reason, "quantise activations unsigned")
    return None


def _has_signed_8_bit_gain(node: ir.Node) -> bool:
    decode = node.inputs[1].producer() if len(node.inputs) > 1 and node.inputs[1] is not None else None
    codes = decode.inputs[0] if decode is not None and decode.op_type == "DequantizeLinear" else None
    return codes is not None and codes.dtype == ir.DataType.INT8


def _is_quantised(node: ir.Node) -> bool:
    """Whether every float input that is no constant comes from a DequantizeLinear: the node is part of a node unit."""
    floats = [value for value in node.inputs if value is not None and value.dtype in _FLOATS]
    return all(value.const_value is not None or _comes_from(value, "DequantizeLinear") for value in floats)


def _is_signed_8_bit(node: ir.Node) -> bool:
    if node.op_type != "QuantizeLinear":
        return False
    return node.outputs[0].dtype == ir.DataType.INT8


def _comes_from(value: ir.Value, op_type: str) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == op_type
