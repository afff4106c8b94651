"""The lowered `main` as plain data: which kernel is called on which bytes, in order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import tvm
from tvm import ir, relax

from targets.errors import TargetError
from targets.tvm.importer.importer import Parameter

ALIGNMENT = 128
"""Byte alignment of everything in the arena and in the constants: that of the weights file."""


@dataclasses.dataclass(frozen=True)
class Region:
    """Where a tensor's bytes are.

    Attributes:
        base: Which memory.
        offset: Bytes from its start; for inputs and outputs their index.
    """

    base: Literal["input", "output", "weight", "constant", "arena"]
    offset: int


@dataclasses.dataclass(frozen=True)
class TensorView:
    """A tensor in memory: region, shape, TVM dtype."""

    region: Region
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes, densely packed."""
        return math.prod(self.shape) * item_bytes(self.dtype)


@dataclasses.dataclass(frozen=True)
class KernelCall:
    """One call: kernel name and arguments, results last."""

    kernel: str
    arguments: tuple[TensorView, ...]


@dataclasses.dataclass(frozen=True)
class CallSequence:
    """A component's program.

    Attributes:
        calls: In order.
        copies: (destination, source) of outputs that no kernel writes directly.
        outputs: Views of the outputs as the program sees them.
        arena_bytes: Planned memory.
        constants: Bytes addressed by `constant` regions.
    """

    calls: tuple[KernelCall, ...]
    copies: tuple[tuple[TensorView, TensorView], ...]
    outputs: tuple[TensorView, ...]
    arena_bytes: int
    constants: bytes


def item_bytes(dtype: str) -> int:
    """Bytes of one element of a TVM dtype; a truth value takes one."""
    return 1 if dtype == "bool" else int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8


def aligned(nbytes: int) -> int:
    """Rounds up to the next aligned offset."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def call_sequence(module: tvm.IRModule, parameters: Sequence[Parameter]) -> CallSequence:
    """Walks the lowered `main`.

    Args:
        module: What `lower_relax` returned.
        parameters: Of the imported component, in order.

    Raises:
        TargetError: Lowering left an operation that is not a kernel call.
    """
    return _Walk(module["main"], parameters).run()


class _Walk:
    def __init__(self, function: relax.Function, parameters: Sequence[Parameter]) -> None:
        self._function = function
        self._values: dict[Any, Any] = {}
        self._storage: dict[Any, int] = {}
        self._arena = 0
        self._calls: list[tuple[str, list[TensorView]]] = []
        self._constants = bytearray()
        self._output_allocations: set[Region] = set()
        for index, (variable, parameter) in enumerate(zip(function.params, parameters, strict=True)):
            shape, dtype = _tensor(variable.ty)
            self._values[variable] = TensorView(self._parameter_region(parameter, index), shape, dtype)

    def run(self) -> CallSequence:
        for block in self._function.body.blocks:
            for binding in block.bindings:
                self._bind(binding.var, binding.value)
        returned = self._function.body.body
        values = [self._value(f) for f in returned.fields] if isinstance(returned, relax.Tuple) else None
        if values is None:
            value = self._value(returned)
            values = value if isinstance(value, list) else [value]
        return self._finish(values)

    def _parameter_region(self, parameter: Parameter, index: int) -> Region:
        if parameter.kind == "input":
            return Region("input", index)
        if parameter.kind == "weight":
            return Region("weight", parameter.offset)
        self._constants.extend(b"\0" * (-len(self._constants) % ALIGNMENT))
        offset = len(self._constants)
        self._constants.extend(parameter.data)
        return Region("constant", offset)

    def _value(self, expression: Any) -> Any:
        if isinstance(expression, relax.Tuple):
            return [self._value(field) for field in expression.fields]
        return self._values[expression]

    def _bind(self, variable: Any, value: Any) -> None:
        if isinstance(value, relax.TupleGetItem):
            self._values[variable] = self._values[value.tuple_value][value.index]
        elif isinstance(value, relax.Call):
            self._bind_call(variable, value)
        else:
            self._values[variable] = self._value(value)

    def _bind_call(self, variable: Any, call: relax.Call) -> None:
        if isinstance(call.op, ir.GlobalVar):
            self._calls.append((call.op.name_hint, [self._value(argument) for argument in call.args]))
            return
        handlers: dict[str, Callable[[Any, relax.Call], None]] = {
            "relax.memory.alloc_storage": self._alloc_storage,
            "relax.memory.alloc_tensor": self._alloc_tensor,
            "relax.builtin.alloc_tensor": self._alloc_output,
            "relax.reshape": self._reshape,
        }
        name = call.op.name
        if name in handlers:
            handlers[name](variable, call)
        elif not name.startswith("relax.memory.kill"):
            raise TargetError(
                "lowering left an operation that is not a kernel call",
                received=name,
                remedy="report this model; it is a fault of npuc",
            )

    def _alloc_storage(self, variable: Any, call: relax.Call) -> None:
        self._storage[variable] = self._arena
        self._arena += aligned(int(call.args[0].values[0]))

    def _alloc_tensor(self, variable: Any, call: relax.Call) -> None:
        shape, dtype = _tensor(variable.ty)
        offset = self._storage[call.args[0]] + int(call.args[1].value)
        self._values[variable] = TensorView(Region("arena", offset), shape, dtype)

    def _alloc_output(self, variable: Any, call: relax.Call) -> None:
        """Memory planning leaves only results to be allocated at run time."""
        del call
        shape, dtype = _tensor(variable.ty)
        view = TensorView(Region("arena", self._arena), shape, dtype)
        self._arena += aligned(view.nbytes)
        self._output_allocations.add(view.region)
        self._values[variable] = view

    def _reshape(self, variable: Any, call: relax.Call) -> None:
        shape, dtype = _tensor(variable.ty)
        self._values[variable] = TensorView(self._values[call.args[0]].region, shape, dtype)

    def _finish(self, results: list[TensorView]) -> CallSequence:
        outputs = [TensorView(Region("output", i), v.shape, v.dtype) for i, v in enumerate(results)]
        direct: dict[Region, Region] = {}
        copies = []
        for output, result in zip(outputs, results, strict=True):
            if result.region in self._output_allocations and result.region not in direct:
                direct[result.region] = output.region
            else:
                source = dataclasses.replace(result, region=direct.get(result.region, result.region))
                copies.append((output, source))
        calls, arena = _compact(self._calls, direct, self._output_allocations, self._arena)
        return CallSequence(calls, tuple(copies), tuple(outputs), arena, bytes(self._constants))


def _compact(
    calls: list[tuple[str, list[TensorView]]],
    direct: dict[Region, Region],
    unplanned: set[Region],
    arena: int,
) -> tuple[tuple[KernelCall, ...], int]:
    """Sends results straight to the caller's buffers and drops the arena space they would have had."""
    written = tuple(
        KernelCall(name, tuple(dataclasses.replace(v, region=direct.get(v.region, v.region)) for v in views))
        for name, views in calls
    )
    if unplanned <= direct.keys():
        ends = [
            view.region.offset + aligned(view.nbytes)
            for call in written
            for view in call.arguments
            if view.region.base == "arena"
        ]
        arena = max(ends, default=0)
    return written, arena


def _tensor(ty: Any) -> tuple[tuple[int, ...], str]:
    return tuple(int(extent) for extent in ty.shape.values), str(ty.dtype.dtype)
