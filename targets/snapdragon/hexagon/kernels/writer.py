"""Writes a TIR function and collects its constant arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from program.program import Array

ALIGNMENT = 128


@dataclasses.dataclass(frozen=True, eq=False)
class KernelCode:
    """A kernel and its constants.

    Attributes:
        name: What it does, a C identifier.
        function: Arguments: inputs, then constants, then the output, all one-dimensional.
        constants: Arrays, in order of the arguments.
    """

    name: str
    function: tirx.PrimFunc
    constants: tuple[Array, ...]


class KernelWriter:
    """Declares the arguments of a kernel, in their order."""

    def __init__(self) -> None:
        self.constants: list[Array] = []
        self._count = 0

    def buffer(self, dtype: str, elements: int) -> Any:
        """The next input or the output."""
        self._count += 1
        return T.arg(f"argument_{self._count}", T.buffer((elements,), dtype, align=ALIGNMENT))

    def constant(self, array: Array) -> Any:
        """An argument with a fixed value."""
        flat = np.ascontiguousarray(array).reshape(-1)
        self.constants.append(flat)
        return self.buffer(str(flat.dtype), flat.size)

    def words(self, array: Array) -> Any:
        """Like `constant`, for bytes that are read as 32-bit words."""
        return self.constant(np.ascontiguousarray(array).reshape(-1).view(np.int32))


def write_kernel(name: str, body: Callable[[KernelWriter], None]) -> KernelCode:
    """Runs `body`, which declares arguments and writes statements.

    Args:
        name: A C identifier.
        body: Called inside the function.
    """
    writer = KernelWriter()
    with IRBuilder() as builder, T.prim_func():
        T.func_name(name)
        body(writer)
    return KernelCode(name, builder.get(), tuple(writer.constants))
