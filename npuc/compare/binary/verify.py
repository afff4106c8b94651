"""Executes an artifact's binaries against their references."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from npuc.artifact.artifact import Artifact
from npuc.artifact.feeds import cast_feeds, segment_feeds
from npuc.artifact.manifest import Agreement, ComponentRecord, SegmentRecord
from npuc.artifact.paths import MODEL_FOLDER
from npuc.artifact.samples import load_samples
from npuc.compare.binary.agreement import Bound, worst
from npuc.compare.binary.judge import Trial, first_cause, judge
from npuc.compare.source.sample_files import load_labelled
from npuc.compare.source.samples import Sample, count_ordinary
from npuc.errors import ArtifactError
from program.onnx_executor import OnnxExecutor
from program.program import Executor, Feeds
from targets.contract.joint import each_chip
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
    artifact.require_own_files()
    samples = load_labelled(artifact.folder / MODEL_FOLDER)
    trials: dict[str, Trial] = {}
    for component in artifact.manifest.components:
        rows = samples.get(component.name, [])
        if not rows and any(segment.executable is not None for segment in component.segments):
            raise ArtifactError(
                "the samples of a component are missing",
                where=f"{artifact.folder}: component {component.name}",
                remedy="compile the model again",
            )
        trials |= _trials(artifact, component, rows)
    agreements: dict[str, Agreement] = {}
    for segments in _by_binary(artifact):
        for segment, by_chip in _verify_binary(artifact, segments, trials):
            agreements[segment.name] = worst(by_chip.values())
            for chip, agreement in by_chip.items():
                if not agreement.passed and explain is not None:
                    explain(_explanation(segment, chip, trials[segment.name]))
    names = [segment.name for component in artifact.manifest.components for segment in component.segments]
    return {name: agreements[name] for name in names}


def _trials(artifact: Artifact, component: ComponentRecord, samples: list[Sample]) -> dict[str, Trial]:
    """Returns what each segment is held to when the component is fed the samples."""
    specs = [record.spec() for record in component.inputs]
    inputs = [cast_feeds(sample.feeds, specs) for sample in samples]
    graphs = [artifact.folder / segment.reference for segment in component.segments]
    references = [OnnxExecutor(graph) for graph in graphs]
    target, ordinary = artifact.manifest.device.target, count_ordinary(samples)
    return {
        segment.name: Trial(
            target, segment.processor, graph, run, Bound.of(segment.agreement.bound), feeds, ordinary
        )
        for segment, graph, run, feeds in zip(
            component.segments, graphs, references, segment_feeds(inputs, references), strict=True
        )
    }


def _by_binary(artifact: Artifact) -> list[list[SegmentRecord]]:
    """Returns the segments, those of one binary together: one process executes them."""
    groups: dict[tuple[str, ...], list[SegmentRecord]] = {}
    for component in artifact.manifest.components:
        for segment in component.segments:
            binary = segment.files[-1] if GRAPHS in segment.binding else segment.name
            groups.setdefault((segment.processor, binary), []).append(segment)
    return list(groups.values())


def _verify_binary(
    artifact: Artifact, segments: list[SegmentRecord], trials: Mapping[str, Trial]
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
            by_chip = {
                chip: judge(trials[segment.name], executor)
                for (name, chip), executor in opened.items()
                if name == segment.name
            }
            yield segment, by_chip or {"": segment.agreement}


def _explanation(segment: SegmentRecord, chip: str, trial: Trial) -> str:
    why = first_cause(trial, each_chip(segment.binding)[chip])
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
