"""What a component is fed to be compared with the model as the user gave it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from npuc.artifact.feeds import cast_feeds
from npuc.stages.capture.verification_samples import verification_samples
from program.program import Array, Feeds, Program, TensorSpec


@dataclasses.dataclass(frozen=True)
class Sample:
    """One call of a component.

    Attributes:
        feeds: Its inputs.
        edge: What is special about them, in words; empty for an ordinary call.
        usual: Whether the values are of the size that the model is calibrated with.
    """

    feeds: Feeds
    edge: str = ""
    usual: bool = True

    def cast(self, inputs: Sequence[TensorSpec]) -> Sample:
        """Returns the sample in the element types of a component's inputs."""
        return dataclasses.replace(self, feeds=cast_feeds(self.feeds, inputs))


@dataclasses.dataclass(frozen=True)
class Answered:
    """A sample and what the original returned for it."""

    sample: Sample
    outputs: Mapping[str, Array]


def comparison_samples(program: Program, feeds: Mapping[str, Sequence[Feeds]]) -> dict[str, list[Sample]]:
    """Chooses what each component is compared on: recorded calls, then requests at the edge.

    Args:
        program: Normalised.
        feeds: Component name → what it was fed, from the calibration requests.
    """
    samples = {
        name: [Sample(feed) for feed in chosen]
        for name, chosen in verification_samples(program, feeds).items()
    }
    if len(program.components) == 1:  # a single graph is fed the tensors of a request as they are
        ((name, component),) = program.components.items()
        samples[name] += [
            Sample(cast_feeds(edge.request.tensors, component.inputs), edge.name, edge.usual)
            for edge in program.edges
        ]
    return samples


def count_ordinary(samples: Sequence[Sample]) -> int:
    """Returns how many samples are not at the edge; the others come last."""
    return sum(not sample.edge for sample in samples)


def label_samples(
    chosen: Mapping[str, Sequence[Feeds]], recorded: Mapping[str, Sequence[Feeds]], edges: Sequence[str]
) -> dict[str, list[Sample]]:
    """Says of recorded calls which were made for requests at the edge.

    Args:
        chosen: Component name → calls, out of those recorded.
        recorded: Component name → all calls. Where there are edges, each request is one call, and theirs come last.
        edges: What is special about the last requests, in words.
    """
    labels = {
        id(feed): edge
        for feeds in recorded.values()
        for feed, edge in zip(reversed(feeds), reversed(edges), strict=False)
    }
    return {
        name: [Sample(feed, labels.get(id(feed), "")) for feed in feeds] for name, feeds in chosen.items()
    }
