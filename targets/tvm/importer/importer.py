"""ONNX graph → Relax function: one kernel call for each node, weights as parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir
import tvm
from tvm import relax

from program.program import Component, tensor_spec
from targets.errors import TargetError
from targets.placing.coverage import require_static
from targets.tvm.importer import element_types, operators  # noqa: F401 (registers the converters)
from targets.tvm.importer.constant_folding import StaticArray, fold
from targets.tvm.importer.conversion import convert
from targets.tvm.importer.kernel_builder import KernelBuilder
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Operand, in_memory
from targets.tvm.supported_operators import STATIC, is_supported

INLINE_LIMIT = 1 << 20
"""Largest initializer, in bytes, that is written into the emitted C file when it is not in the weights file."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of the Relax function.

    Attributes:
        variable: The parameter.
        kind: Graph input, tensor of the weights file, or small constant.
        name: ONNX name (empty for a constant).
        offset: Of a weight in the weights file, in bytes.
        nbytes: Of a weight in the weights file.
        data: Bytes of a constant.
    """

    variable: relax.Var
    kind: Literal["input", "weight", "constant"]
    name: str = ""
    offset: int = 0
    nbytes: int = 0
    data: bytes = b""


@dataclasses.dataclass(frozen=True)
class ImportedComponent:
    """A component as Relax.

    Attributes:
        module: Holds one function, `main`.
        parameters: In the order of the parameters of `main`: inputs, weights by name, constants by first use.
    """

    module: tvm.IRModule
    parameters: tuple[Parameter, ...]


def import_component(component: Component, weights_file: Path) -> ImportedComponent:
    """Imports a static-shape graph.

    Args:
        component: Its large initializers are external tensors of `weights_file`.
        weights_file: Its name tells weights from other external tensors.

    Raises:
        TargetError: An operator or one of its forms has no kernel, a shape is not static, or a large initializer
            is not in the weights file. Names component and node.
    """
    return _Importer(component, weights_file).run()


class _Importer:
    def __init__(self, component: Component, weights_file: Path) -> None:
        self._component = component
        self._weights_name = weights_file.name
        self._block_builder = relax.BlockBuilder()
        self._builder = KernelBuilder(self._block_builder)
        self._operands: dict[ir.Value, Operand] = {}
        self._statics: dict[ir.Value, StaticArray] = {}
        self._weights: dict[str, Parameter] = {}
        self._given: list[relax.Var] = []

    def run(self) -> ImportedComponent:
        require_static(self._component)
        graph = self._component.model.graph
        inputs = [self._add_input(value) for value in graph.inputs]
        for value in graph.initializers.values():
            self._add_initializer(value)
        with self._block_builder.function("main"):
            with self._block_builder.dataflow():
                for node in graph:
                    self._convert(node)
                results = [self._block_builder.emit_output(self._result(value)) for value in graph.outputs]
            weights = [self._weights[name] for name in sorted(self._weights)]
            constants = [Parameter(v, "constant", data=data) for v, data in self._builder.constants]
            parameters = (*inputs, *weights, *constants)
            output = results[0] if len(results) == 1 else relax.Tuple(results)
            self._block_builder.emit_func_output(output, params=[p.variable for p in parameters])
        return ImportedComponent(self._block_builder.finalize(), parameters)

    def _add_input(self, value: ir.Value) -> Parameter:
        spec = tensor_spec(value)
        variable = relax.Var(f"input_{len(self._operands)}", _tensor_type(spec.shape, spec.dtype))
        self._given.append(variable)
        self._operands[value] = in_memory(variable, spec.shape, spec.dtype)
        return Parameter(variable, "input", value.name or "")

    def _add_initializer(self, value: ir.Value) -> None:
        tensor = value.const_value
        if tensor is None or not (value.uses() or value.is_graph_output()):
            return
        if isinstance(tensor, ir.ExternalTensor) and Path(tensor.location).name == self._weights_name:
            self._add_weight(value, tensor)
            return
        if tensor.nbytes > INLINE_LIMIT:
            raise TargetError(
                "a large initializer is not in the weights file",
                where=f"{self._component.name}, initializer {value.name}",
                received=f"{tensor.nbytes} bytes",
                remedy="write the weights file before lowering",
            )
        array, dtype = _stored_array(tensor)
        if dtype not in element_types.FP8_TYPES:
            self._statics[value] = array
        self._operands[value] = self._builder.constant(array, dtype)

    def _add_weight(self, value: ir.Value, tensor: ir.ExternalTensor) -> None:
        name = value.name or ""
        shape = [int(extent) for extent in tensor.shape.numpy()]
        variable = relax.Var(f"weight_{len(self._weights)}", _tensor_type(shape, tensor.dtype))
        self._weights[name] = Parameter(variable, "weight", name, tensor.offset or 0, tensor.nbytes)
        self._operands[value] = in_memory(variable, shape, tensor.dtype, is_weight=True)

    def _convert(self, node: ir.Node) -> None:
        where = f"{self._component.name}, node {node.name or node.outputs[0].name}"
        statics = [self._statics.get(value) if value is not None else None for value in node.inputs]
        shapes = [self._shape(value) for value in node.inputs]
        folded = fold(node, statics, shapes, where)
        if folded is not None:
            for value, array in zip((v for v in node.outputs if v.name), folded, strict=True):
                self._statics[value] = array
            return
        if not is_supported(node) or node.op_type in STATIC:
            raise _unknown_operator(node, where)
        operands = tuple(self._operand(value, where) for value in node.inputs)
        readers = frozenset(use.node.op_type for use in node.outputs[0].uses())
        if node.outputs[0].is_graph_output():
            readers |= {"output"}
        call = NodeCall(node, operands, tuple(statics), self._builder, where, readers)
        self._operands.update(convert(call))

    def _shape(self, value: ir.Value | None) -> tuple[int, ...] | None:
        if value is None:
            return None
        if value in self._operands:
            return self._operands[value].shape
        array = self._statics.get(value)
        return array.shape if array is not None else None

    def _operand(self, value: ir.Value | None, where: str) -> Operand | None:
        if value is None or (not value.name and value.producer() is None):
            return None
        if value not in self._operands:
            array = self._statics.get(value)
            if array is None:
                raise TargetError(
                    f"value {value.name} is read before it is computed",
                    where=where,
                    remedy="check the model with onnx.checker",
                )
            self._operands[value] = self._builder.constant(array, ir.DataType.from_numpy(array.dtype))
        return self._operands[value]

    def _result(self, value: ir.Value) -> relax.Expr:
        operand = self._operand(value, f"{self._component.name}, output {value.name}")
        if operand is None:
            raise TargetError("an output has no producer", where=f"{self._component.name}, {value.name}")
        given = operand.in_memory and any(operand.buffers[0].same_as(p) for p in self._given)
        if operand.is_weight or given:  # a kernel has to write it
            operand = self._builder.copy(operand)
        return self._builder.materialise(operand).buffers[0]


def _tensor_type(shape: Sequence[int], dtype: ir.DataType) -> relax.TensorType:
    return relax.TensorType(list(shape), element_types.storage(dtype))


def _stored_array(tensor: ir.TensorProtocol) -> tuple[StaticArray, ir.DataType]:
    array = np.asarray(tensor.numpy())
    if tensor.dtype in element_types.FP8_TYPES:
        return array.view(np.uint8), tensor.dtype
    return array, tensor.dtype


def _unknown_operator(node: ir.Node, where: str) -> TargetError:
    domain = node.domain or "ai.onnx"
    dynamic = node.op_type in STATIC
    return TargetError(
        f"operator {domain}::{node.op_type} "
        + ("depends on run-time values" if dynamic else "has no CPU kernel"),
        where=where,
        received=node.op_type,
        remedy="fold it at capture time (fixed shapes)"
        if dynamic
        else "decompose the operator into standard ones, or register a converter in targets.tvm.importer.registry",
    )
