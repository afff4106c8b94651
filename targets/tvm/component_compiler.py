"""One component → C files, object and, for Linux, a runner program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from program.program import Component
from targets.errors import TargetError
from targets.tvm import c_source, toolchain
from targets.tvm.call_sequence import call_sequence
from targets.tvm.importer.importer import ImportedComponent, import_component
from targets.tvm.kernel_object import compile_kernels, llvm_target, used_kernels
from targets.tvm.pipeline import lower_relax
from targets.tvm.process.compiled_component import CompiledComponent
from targets.tvm.schedule import unscheduled_products

_RUNTIME_FILES = ("npuc_runtime.h", "npuc_runtime.c")
_RUNNER_FILES = ("main.c", "linux_calls.h")


def compile_from_paths(
    component: Component, weights_file: str, triple: str, features: Sequence[str], folder: str
) -> CompiledComponent:
    """As `compile_component`, with paths as text: what the worker calls."""
    return compile_component(component, Path(weights_file), triple, features, Path(folder))


def compile_component(
    component: Component, weights_file: Path, triple: str, features: Sequence[str], folder: Path
) -> CompiledComponent:
    """Compiles a component for a CPU.

    Args:
        component: Static-shape graph; large initializers are external tensors of `weights_file`.
        weights_file: The shared weights.
        triple: LLVM triple; for `…-linux-…` a static runner program is linked, else a library of objects is made.
        features: LLVM features (`mattr`).
        folder: Existing folder to write into.

    Raises:
        TargetError: The component cannot be lowered.
        ToolError: The cross compiler is missing or fails.
    """
    name = component.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise TargetError(
            "the component's name is not a C identifier in lower case",
            received=name,
            remedy="rename it to [a-z][a-z0-9_]*",
        )
    imported = import_component(component, weights_file)
    target = llvm_target(triple, features)
    lowered = lower_relax(imported.module, target)
    kernels, sequence = used_kernels(lowered, call_sequence(lowered, imported.parameters))
    kernel_object = compile_kernels(kernels, f"{name}_", target, folder / f"{name}_kernels.o")
    weights = [p for p in imported.parameters if p.kind == "weight"]
    code = c_source.ComponentCode(
        name,
        sequence,
        component.inputs,
        component.outputs,
        kernel_object.workspace_bytes,
        max((p.offset + p.nbytes for p in weights), default=0),
    )
    files, executable = _build(code, triple, folder)
    return CompiledComponent(
        files=tuple(sorted(files)),
        executable=executable,
        arena_bytes=code.arena_bytes,
        weight_bytes=_weight_bytes(imported),
        code_bytes=(folder / f"{name}_kernels.o").stat().st_size,
        kernels=kernel_object.kernels,
        calls=len(sequence.calls),
        unscheduled=tuple(k for k in unscheduled_products(lowered) if k in kernels),
    )


def _weight_bytes(imported: ImportedComponent) -> int:
    return sum(parameter.nbytes for parameter in imported.parameters if parameter.kind == "weight")


def _build(code: c_source.ComponentCode, triple: str, folder: Path) -> tuple[list[str], str | None]:
    name = code.name
    (folder / f"{name}.h").write_text(c_source.render_header(code), "utf-8")
    (folder / f"{name}.c").write_text(c_source.render_source(code), "utf-8")
    _copy_runtime(_RUNTIME_FILES, folder)
    toolchain.compile_object(triple, f"{name}.c", f"{name}.o", folder)
    toolchain.compile_object(triple, "npuc_runtime.c", "npuc_runtime.o", folder)
    objects = [f"{name}.o", f"{name}_kernels.o", "npuc_runtime.o"]
    library = f"lib{name}.a"
    toolchain.archive(objects, library, folder)
    executable = _link_runner(code, triple, objects, folder) if "-linux" in triple else None
    for built in objects:
        if built != f"{name}_kernels.o":
            (folder / built).unlink()
    files = [f"{name}.h", f"{name}.c", f"{name}_kernels.o", library, *_RUNTIME_FILES]
    return files + ([executable] if executable else []), executable


def _link_runner(code: c_source.ComponentCode, triple: str, objects: Sequence[str], folder: Path) -> str:
    config = folder / "runner_config.h"
    config.write_text(c_source.render_runner_config(code), "utf-8")
    _copy_runtime(_RUNNER_FILES, folder)
    toolchain.compile_object(triple, "main.c", "main.o", folder)
    toolchain.link_static(triple, ["main.o", *objects], code.name, folder)
    for temporary in ("main.o", "runner_config.h", *_RUNNER_FILES):
        (folder / temporary).unlink()
    return code.name


def _copy_runtime(names: Sequence[str], folder: Path) -> None:
    runtime = resources.files("targets.tvm").joinpath("runtime")
    for name in names:
        (folder / name).write_text(runtime.joinpath(name).read_text("utf-8"), "utf-8")
