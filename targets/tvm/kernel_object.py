"""Compiles the kernels of a component into one LLVM object file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from targets.tvm.call_sequence import CallSequence, KernelCall, aligned, item_bytes


@dataclasses.dataclass(frozen=True)
class KernelObject:
    """The object file's facts.

    Attributes:
        kernels: Names of its functions, sorted.
        workspace_bytes: Scratch memory the largest kernel allocates.
    """

    kernels: tuple[str, ...]
    workspace_bytes: int


def llvm_target(triple: str, features: Sequence[str]) -> tvm.target.Target:
    """The TVM target of a CPU triple with LLVM features such as `+dotprod`."""
    return tvm.target.Target({"kind": "llvm", "mtriple": triple, "mattr": list(features), "opt-level": 3})


def used_kernels(
    module: tvm.IRModule, sequence: CallSequence
) -> tuple[dict[str, tirx.PrimFunc], CallSequence]:
    """Merges equal kernels, so that equal layers share code.

    Returns:
        The distinct kernels by name, and the sequence that calls them.
    """
    distinct: dict[str, tirx.PrimFunc] = {}
    by_hash: dict[int, list[str]] = {}
    renamed: dict[str, str] = {}
    functions = {v.name_hint: f for v, f in module.functions.items() if isinstance(f, tirx.PrimFunc)}
    for name in dict.fromkeys(call.kernel for call in sequence.calls):
        function = functions[name].without_attr("global_symbol")
        candidates = by_hash.setdefault(tvm_ffi.structural_hash(function), [])
        same = next((c for c in candidates if tvm_ffi.structural_equal(distinct[c], function)), None)
        if same is None:
            distinct[name] = function
            candidates.append(name)
        renamed[name] = same or name
    calls = tuple(KernelCall(renamed[call.kernel], call.arguments) for call in sequence.calls)
    return distinct, dataclasses.replace(sequence, calls=calls)


def compile_kernels(
    kernels: dict[str, tirx.PrimFunc], prefix: str, target: tvm.target.Target, path: Path
) -> KernelObject:
    """Writes the object file.

    Args:
        kernels: By name.
        prefix: Put before each name, so that several components link into one program.
        target: From `llvm_target`.
        path: Of the object file.
    """
    named = {
        prefix + name: f.with_attr("global_symbol", prefix + name) for name, f in sorted(kernels.items())
    }
    module = tvm.IRModule(named).with_attr("system_lib_prefix", prefix)
    # TVM 0.27's common subexpression elimination moves a binding into one of two sibling loops that read it (LLVM then
    # says "Instruction does not dominate all uses"); LLVM eliminates common subexpressions itself
    config = {"tirx.disable_assert": True, "tirx.disable_cse_tir": True}
    with tvm.transform.PassContext(opt_level=3, config=config):
        library = tvm.tirx.build(module, target=target)
    library.write_to_file(str(path), "o")
    workspace = max((_workspace(function) for function in kernels.values()), default=0)
    return KernelObject(tuple(sorted(kernels)), workspace)


def _workspace(function: tirx.PrimFunc) -> int:
    """Upper bound of the scratch memory of a kernel: all its intermediate buffers at their full shapes."""
    total = 0

    def visit(block: s_tir.SBlock) -> None:
        nonlocal total
        for buffer in block.alloc_buffers:
            extent = math.prod(int(e) for e in buffer.shape)
            total += aligned(extent * item_bytes(str(buffer.dtype)))

    tvm_ffi.structural_walk(function.body, (s_tir.SBlock, visit))
    return total
