"""Operator type to converter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand

Converter = Callable[[NodeCall], Operand | Sequence[Operand]]

CONVERTERS: dict[str, Converter] = {}
"""Converters of the ai.onnx domain by operator type; filled by importing `targets.tvm.importer.operators`."""


def converter(*op_types: str) -> Callable[[Converter], Converter]:
    """Registers a function as the converter of operator types."""

    def register(function: Converter) -> Converter:
        for op_type in op_types:
            CONVERTERS[op_type] = function
        return function

    return register
