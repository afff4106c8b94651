"""Executes an artifact's binaries against their references."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from npuc.artifact.artifact import Artifact
from npuc.artifact.manifest import Agreement, ComponentRecord, SegmentRecord
from npuc.artifact.paths import MODEL_FOLDER
from npuc.artifact.samples import load_samples
from npuc.compare.binary.agreement import Bound, compare_apart, worst
from npuc.compare.binary.references import explain_disagreement, reference_of
from npuc.compare.source.sample_files import load_labelled
from npuc.compare.source.samples import count_ordinary
from npuc.errors import ArtifactError
from npuc.stages.place.plan import cast_feeds, segment_feeds
from program.onnx_executor import OnnxExecutor
from program.program import Executor, Feeds
from targets.contract.joint import each_chip
from targets.contract.names import CPU
from targets.contract.registry import find_emulator
from targets.contract.shared_weights import GRAPHS

_TIMED_CALLS = 5


def verify_binaries(artifact: Artifact, explain: Callable[[str], None] | None = None) -> dict[str, Agreement]:
    """Runs every binary on the artifact's samples and compares it with its reference graph.

    Args:
        artifact: Opened artifact.
        explain: Told in one line, for a binary beyond its bound, which operator diverges first, where that can be
            found.

    Returns:
        Segment name → agreement, measured now, against the bound stated in the manifest.
    """
    samples = load_labelled(artifact.folder / MODEL_FOLDER)
    feeds: dict[str, list[Feeds]] = {}
    ordinary: dict[str, int] = {}
    for component in artifact.manifest.components:
        rows = samples.get(component.name, [])
        if not rows and any(segment.agreement.samples for segment in component.segments):
            raise ArtifactError(
                "the samples of a component are missing",
                where=f"{artifact.folder}: component {component.name}",
                remedy="compile the model again",
            )
        feeds |= _segment_feeds(artifact, component, [row.feeds for row in rows])
        ordinary |= {segment.name: count_ordinary(rows) for segment in component.segments}
    agreements: dict[str, Agreement] = {}
    for segments in _by_binary(artifact):
        for segment, by_chip in _verify_binary(artifact, segments, feeds, ordinary):
            agreements[segment.name] = worst(by_chip.values())
            for chip, agreement in by_chip.items():
                if not agreement.passed and explain is not None:
                    explain(_explanation(artifact, segment, chip, agreement, feeds[segment.name]))
    names = [segment.name for component in artifact.manifest.components for segment in component.segments]
    return {name: agreements[name] for name in names}


def _segment_feeds(
    artifact: Artifact, component: ComponentRecord, samples: list[Feeds]
) -> dict[str, list[Feeds]]:
    """Returns what each segment is fed when the component is fed the samples."""
    inputs = [cast_feeds(feed, [record.spec() for record in component.inputs]) for feed in samples]
    references = [OnnxExecutor(artifact.folder / segment.reference) for segment in component.segments]
    given = segment_feeds(inputs, references)
    return {segment.name: row for segment, row in zip(component.segments, given, strict=True)}


def _by_binary(artifact: Artifact) -> list[list[SegmentRecord]]:
    """Returns the segments, those of one binary together: one process executes them."""
    groups: dict[tuple[str, ...], list[SegmentRecord]] = {}
    for component in artifact.manifest.components:
        for segment in component.segments:
            binary = segment.files[-1] if GRAPHS in segment.binding else segment.name
            groups.setdefault((segment.processor, binary), []).append(segment)
    return list(groups.values())


def _verify_binary(
    artifact: Artifact,
    segments: list[SegmentRecord],
    feeds: Mapping[str, list[Feeds]],
    ordinary: Mapping[str, int],
) -> Iterator[tuple[SegmentRecord, dict[str, Agreement]]]:
    """Yields each segment with its agreement by chip; the name is empty where the binary is for one chip."""
    with contextlib.ExitStack() as stack:
        opened = {
            (segment.name, chip): stack.enter_context(
                artifact.emulated(segment.model_copy(update={"binding": binding}))
            )
            for segment in segments
            if segment.executable is not None
            for chip, binding in each_chip(segment.binding).items()
        }
        for segment in segments:
            chips = [chip for name, chip in opened if name == segment.name]
            by_chip = {
                chip: _verify_segment(
                    artifact,
                    segment,
                    opened[segment.name, chip],
                    feeds[segment.name],
                    ordinary[segment.name],
                )
                for chip in chips
            }
            yield segment, by_chip or {"": segment.agreement}


def _verify_segment(
    artifact: Artifact, segment: SegmentRecord, candidate: Executor, feeds: list[Feeds], ordinary: int
) -> Agreement:
    bound, graph = Bound.parse(segment.agreement.bound), artifact.folder / segment.reference
    target, run = artifact.manifest.device.target, OnnxExecutor(graph)
    reference = reference_of(target, segment.processor, graph, bound, run)
    together = len(feeds) if segment.processor == CPU else ordinary
    return compare_apart(reference, candidate, feeds, together, bound)


def _explanation(
    artifact: Artifact, segment: SegmentRecord, chip: str, agreement: Agreement, feeds: list[Feeds]
) -> str:
    bound, path = Bound.parse(agreement.bound), artifact.folder / segment.reference
    emulator = find_emulator(artifact.manifest.device.target, segment.processor)
    why = explain_disagreement(emulator, each_chip(segment.binding)[chip], path, feeds, bound)
    place = f"{segment.name} on {chip}" if chip else segment.name
    return f"{place}: {why or 'the binary does not compute what its reference computes'}"


def subnetwork_seconds(artifact: Artifact) -> dict[str, float]:
    """Measures one call of each component of every sub-network, in emulation on this machine.

    Returns:
        Sub-network → seconds, the least of a few calls of each component. They compare sub-networks with each other;
        the device is faster.
    """
    samples = load_samples(artifact.folder / MODEL_FOLDER)
    seconds: dict[str, float] = {}
    result = {}
    for network in artifact.manifest.subnetworks:
        with artifact.executors(power=network.name) as executors:
            for name, record in artifact.components(network.name).items():
                if record.name not in seconds:
                    feeds = cast_feeds(samples[record.name][0], [entry.spec() for entry in record.inputs])
                    seconds[record.name] = _least_seconds(executors[name], feeds)
        result[network.name] = sum(seconds[r.name] for r in artifact.components(network.name).values())
    return result


def _least_seconds(executor: Executor, feeds: Feeds) -> float:
    times = []
    for _ in range(_TIMED_CALLS):
        start = time.perf_counter()
        executor(feeds)
        times.append(time.perf_counter() - start)
    return min(times)
