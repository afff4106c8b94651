"""What a component is fed to be compared with the model as the user gave it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from exporter.program import Array, Feeds, Program
from npuc.segments import cast_feeds
from npuc.stages.verification_samples import verification_samples


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
