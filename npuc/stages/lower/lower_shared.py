"""Lowers prefill and decode of the same layers into one binary, and executes both in the process that makes it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuc.artifact.feeds import cast_feeds, segment_feeds
from npuc.artifact.paths import MODEL_FOLDER
from npuc.artifact.samples import load_samples
from npuc.caching.cache import Cache, content_key, package_digest
from npuc.stages.place.plan import Plan, Segment
from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds
from targets.contract.shared_weights import SharedGraph, SharesWeights
from targets.contract.target import Lowered
from targets.devices.device import Device

Outputs = Sequence[Mapping[str, Array]]
"""What a graph returned, for each sample."""

_BINARIES = "binaries"
_OUTPUTS = "outputs.npz"


@dataclasses.dataclass(frozen=True)
class SharedJob:
    """Two segments of one binary.

    Attributes:
        segments: In the order of compilation.
        accelerator: Their NPU.
        device: Device to lower for.
        cache: Finished binaries.
        folder: Of the artifact.
    """

    segments: Sequence[Segment]
    accelerator: SharesWeights
    device: Device
    cache: Cache
    folder: Path


def graph_feeds(plan: Plan, names: set[str], folder: Path) -> dict[str, list[Feeds]]:
    """Returns what segments are fed when their components are fed the artifact's samples.

    Args:
        plan: What runs where.
        names: Segments to return the feeds of.
        folder: Of the artifact.
    """
    samples = load_samples(folder / MODEL_FOLDER)
    feeds: dict[str, list[Feeds]] = {}
    for name, entry in plan.components.items():
        if not any(segment.name in names for segment in entry.segments):
            continue
        cast = [cast_feeds(feed, entry.component.inputs) for feed in samples[name]]
        # the last segment's outputs are fed to nothing
        references = [OnnxExecutor(folder / segment.reference) for segment in entry.segments[:-1]]
        given = segment_feeds(cast, [*references, lambda _feeds: {}])
        feeds |= {segment.name: row for segment, row in zip(entry.segments, given, strict=True)}
    return feeds


def lower_pair(
    job: SharedJob, feeds: Mapping[str, Sequence[Feeds]], keys: Sequence[str]
) -> tuple[dict[str, Lowered], dict[str, Outputs]]:
    """Makes the binary, or takes it and what it returned from the cache.

    Args:
        job: The segments.
        feeds: By segment, what it is fed.
        keys: Content keys of the segments.

    Returns:
        What was made and what it returned, by segment.

    Raises:
        ToolError: The vendor's tool is missing.
        TargetError: The compiler refused a graph, crashed or took too long.
    """
    key = content_key("lower shared", *keys, *_content(job, feeds), package_digest("npuc"))
    files, summary = job.cache.keep(key, lambda folder: _build(job, feeds, folder))
    binaries = job.folder / job.segments[0].processor
    shutil.copytree(files / _BINARIES, binaries, dirs_exist_ok=True)
    lowered = {name: Lowered.from_json(values) for name, values in summary.items()}
    return lowered, _read_outputs(files / _OUTPUTS, lowered)


def _content(job: SharedJob, feeds: Mapping[str, Sequence[Feeds]]) -> list[bytes]:
    """Everything fed to the segments, in order."""
    return [
        np.ascontiguousarray(feed[spec.name]).tobytes()
        for segment in job.segments
        for feed in feeds[segment.name]
        for spec in segment.component.inputs
    ]


def _build(job: SharedJob, feeds: Mapping[str, Sequence[Feeds]], folder: Path) -> dict[str, Any]:
    (folder / _BINARIES).mkdir()
    graphs = [
        SharedGraph(segment.component, job.folder / segment.reference, _inputs(segment, feeds))
        for segment in job.segments
    ]
    made = job.accelerator.lower_shared(graphs, job.device, folder / _BINARIES)
    arrays = {
        f"{name}/{index}/{output}": array
        for name, outputs in made.outputs.items()
        for index, row in enumerate(outputs)
        for output, array in row.items()
    }
    np.savez(folder / _OUTPUTS, **arrays)  # type: ignore[arg-type]
    return {name: dataclasses.asdict(entry) for name, entry in made.lowered.items()}


def _inputs(segment: Segment, feeds: Mapping[str, Sequence[Feeds]]) -> list[Feeds]:
    return [{spec.name: feed[spec.name] for spec in segment.component.inputs} for feed in feeds[segment.name]]


def _read_outputs(path: Path, names: Mapping[str, Lowered]) -> dict[str, Outputs]:
    rows: dict[str, dict[int, dict[str, Array]]] = {name: {} for name in names}
    with np.load(path, allow_pickle=False) as values:
        for key in values.files:
            name, index, output = key.split("/", 2)
            rows[name].setdefault(int(index), {})[output] = values[key]
    return {name: [row[index] for index in sorted(row)] for name, row in rows.items()}
