"""Assembly of kernels for a processor, by the LLVM inside TVM: for processors that nothing here executes."""

from __future__ import annotations

import re

import tvm
from tvm import tirx

from targets.snapdragon.hexagon.processor import Processor

_SKIPPED = re.compile(r"^\s*(//|\.|[\w.$]+:|$)")
_VECTOR = re.compile(r"\b[vq]\d")


def assemble(
    kernels: dict[str, tirx.PrimFunc], processor: Processor, *, features: tuple[str, ...] = ()
) -> str:
    """The assembly text of kernels.

    Args:
        kernels: By name.
        processor: To compile for.
        features: More LLVM features, such as `+hvx-qfloat`.
    """
    named = {name: function.with_attr("global_symbol", name) for name, function in kernels.items()}
    module = tvm.IRModule(named).with_attr("system_lib_prefix", "")
    with tvm.transform.PassContext(
        opt_level=3, config={"tirx.disable_assert": True, "tirx.disable_cse_tir": True}
    ):
        library = tvm.tirx.build(module, target=processor.target(features=features))
    return str(library.inspect_source("s"))


def vector_instructions(assembly: str) -> list[str]:
    """The lines that read or write an HVX register, without packet braces."""
    lines = (line.strip(" \t{}") for line in assembly.splitlines() if not _SKIPPED.match(line))
    return [line for line in lines if _VECTOR.search(line)]
