"""Every segment becomes a binary for its processor; finished ones come from the cache."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.caching.cache import Cache, content_key, file_sha256, package_digest, packages_of
from npuc.stages.lower.lower_shared import Outputs, SharedJob, graph_feeds, lower_pair
from npuc.stages.lower.pairs import shared_segments
from npuc.stages.place.plan import Plan, Segment
from npuc.terminal.progress import Advance
from npuc.version import tool_versions
from program.program import Component
from targets.contract.accelerator import Accelerator
from targets.contract.registry import find_target
from targets.contract.shared_weights import SharesWeights
from targets.contract.target import Lowered, Target
from targets.devices.device import Device
from targets.errors import RefusedNodesError


@dataclasses.dataclass(frozen=True)
class LowerJob:
    """What to lower.

    Attributes:
        plan: Segments; their weights are bound to the weights files.
        device: Device to lower for.
        accelerators: Its NPU processors that the plan may use.
        cache: Finished segments.
        folder: Of the artifact; binaries go to `cpu/`, or the folder named as the processor.
    """

    plan: Plan
    device: Device
    accelerators: Sequence[Accelerator]
    cache: Cache
    folder: Path


@dataclasses.dataclass(frozen=True)
class LoweredPlan:
    """What was made.

    Attributes:
        segments: By segment; file names are relative to the processor's folder.
        outputs: By segment that the process which made it has executed: what it returned for each sample.
    """

    segments: dict[str, Lowered]
    outputs: dict[str, Outputs]


def lower_plan(job: LowerJob, advance: Advance) -> LoweredPlan:
    """Checks coverage of all CPU segments first, then lowers each segment, or two that share their weights.

    Raises:
        TargetError: A node cannot be lowered; carries the coverage table. Or a compiler refused a segment.
    """
    target = find_target(job.device.target)
    for segment in job.plan.segments:
        if segment.on_cpu:
            target.partition(segment.component, job.device).require_complete()
    weights = {path: file_sha256(job.folder / path) for path in {s.weights for s in job.plan.segments}}
    made = _lower_shared(job, weights, advance)
    for segment in job.plan.segments:
        if segment.name not in made.segments:
            made.segments[segment.name] = _lower(job, segment, weights[segment.weights])
            advance(1, made.segments[segment.name].code_bytes)
    return made


def _lower_shared(job: LowerJob, weights: dict[str, str], advance: Advance) -> LoweredPlan:
    made = LoweredPlan({}, {})
    sharing = {entry.name: entry for entry in job.accelerators if isinstance(entry, SharesWeights)}
    pairs = [pair for pair in shared_segments(job.plan) if pair[0].processor in sharing] if sharing else []
    feeds = graph_feeds(job.plan, {segment.name for pair in pairs for segment in pair}, job.folder)
    for pair in pairs:
        shared = SharedJob(pair, sharing[pair[0].processor], job.device, job.cache, job.folder)
        keys = [_npu_key(job, segment, weights[segment.weights]) for segment in pair]
        with _naming(pair[0].processor):
            lowered, outputs = lower_pair(shared, feeds, keys)
        made.segments.update(lowered)
        made.outputs.update(outputs)
        for segment in pair:
            advance(1, lowered[segment.name].code_bytes)
    return made


def _lower(job: LowerJob, segment: Segment, weights_sha256: str) -> Lowered:
    lowerer = _lowerer(job, segment)
    binaries = job.folder / segment.processor
    binaries.mkdir(exist_ok=True)

    def build(folder: Path) -> dict[str, object]:
        weights = job.folder / segment.weights
        return dataclasses.asdict(lowerer.lower(segment.component, job.device, weights, folder))

    key = _cpu_key(job, segment.component) if segment.on_cpu else _npu_key(job, segment, weights_sha256)
    with _naming(segment.processor):
        return Lowered.from_json(job.cache.fetch(key, binaries, build))


@contextlib.contextmanager
def _naming(processor: str) -> Iterator[None]:
    """Says of refused nodes whose compiler refuses them."""
    try:
        yield
    except RefusedNodesError as error:
        error.processor = processor
        raise


def _lowerer(job: LowerJob, segment: Segment) -> Target | Accelerator:
    if segment.on_cpu:
        return find_target(job.device.target)
    return next(entry for entry in job.accelerators if entry.name == segment.processor)


def _cpu_key(job: LowerJob, component: Component) -> str:
    """The code does not depend on the values of large weights."""
    cpu = job.device.cpu.model_dump(mode="json")
    return content_key(
        "lower",
        component.name,
        _graph(component),
        cpu,
        job.device.target,
        tool_versions(),
        package_digest("targets"),
    )


def _npu_key(job: LowerJob, segment: Segment, weights_sha256: str) -> str:
    """The binary holds the weights."""
    soc = job.device.soc.model_dump(mode="json")
    versions = tool_versions() | dict(job.plan.tools)
    return content_key(
        "lower",
        segment.processor,
        segment.name,
        _graph(segment.component),
        weights_sha256,
        soc,
        list(job.plan.chips),
        versions,
        package_digest(*_packages(job, segment.processor)),
    )


def _packages(job: LowerJob, processor: str) -> list[str]:
    """What makes a binary: the targets, and the package that brought the accelerator along."""
    makers = (entry for entry in job.accelerators if entry.name == processor)
    return sorted({"targets", *packages_of(*makers)})


def _graph(component: Component) -> bytes:
    return ir.to_proto(component.model).SerializeToString(deterministic=True)
