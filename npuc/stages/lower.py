"""Stage 5: every component becomes a binary for the device; finished ones come from the cache."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx_ir as ir

import targets
from exporter.program import Component, Program
from npuc.cache import Cache, content_key, package_digest
from npuc.progress import Advance
from npuc.version import tool_versions
from npuc.weights_file import WEIGHTS_NAME
from targets.device import Device
from targets.registry import find_target
from targets.target import Lowered

BINARY_FOLDER = "cpu"
"""Objects, headers and programs of the components."""


@dataclasses.dataclass(frozen=True)
class LowerJob:
    """What to lower.

    Attributes:
        program: Its weights are bound to the weights file.
        device: Device to lower for.
        cache: Finished components.
        folder: Of the artifact; binaries go to its `cpu/`.
    """

    program: Program
    device: Device
    cache: Cache
    folder: Path


def lower_program(job: LowerJob, advance: Advance) -> dict[str, Lowered]:
    """Checks coverage of all components first, then lowers each.

    Returns:
        Component name → what was made; file names are relative to `cpu/`.

    Raises:
        TargetError: A node cannot be lowered; carries the coverage table.
    """
    target = find_target(job.device.target)
    for component in job.program.components.values():
        target.partition(component, job.device).require_complete()
    binaries = job.folder / BINARY_FOLDER
    binaries.mkdir(exist_ok=True)
    lowered = {}
    for name, component in job.program.components.items():
        lowered[name] = _lower(job, component, binaries)
        advance(1, lowered[name].code_bytes)
    return lowered


def _lower(job: LowerJob, component: Component, binaries: Path) -> Lowered:
    def build(folder: Path) -> dict[str, object]:
        weights = job.folder / "model" / WEIGHTS_NAME
        return dataclasses.asdict(
            find_target(job.device.target).lower(component, job.device, weights, folder)
        )

    summary = job.cache.fetch(_key(job, component), binaries, build)
    return Lowered.from_json(summary)


def _key(job: LowerJob, component: Component) -> str:
    graph = ir.to_proto(component.model).SerializeToString(deterministic=True)
    cpu = job.device.cpu.model_dump(mode="json")
    return content_key(
        "lower", component.name, graph, cpu, job.device.target, tool_versions(), package_digest(targets)
    )
