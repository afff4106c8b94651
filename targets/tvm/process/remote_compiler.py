"""Compiles a component for a CPU in the worker process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from program.program import Component
from targets.tvm.process.compiled_component import CompiledComponent
from targets.tvm.process.worker_process import generate


def compile_in_worker(
    component: Component,
    weights_file: Path,
    triple: str,
    features: Sequence[str],
    folder: Path,
    modules: Sequence[str] = (),
) -> CompiledComponent:
    """As `targets.tvm.component_compiler.compile_component`, in the worker.

    Args:
        component: As there.
        weights_file: As there.
        triple: As there.
        features: As there.
        folder: As there.
        modules: Imported first in the worker: what registers converters of its own.
    """
    arguments = {
        "weights_file": str(weights_file.absolute()),
        "triple": triple,
        "features": list(features),
        "folder": str(folder.absolute()),
    }
    function = "targets.tvm.component_compiler:compile_from_paths"
    return CompiledComponent.from_json(generate(function, component, arguments, folder, modules))
