"""Chooses the inputs that verification repeats: all that were recorded, and fewer where emulating them takes long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from program.program import Edge, Feeds, Program
from targets.placing.estimate import operations

MOST_OPERATIONS = 3 * 10**10
"""Multiply-accumulates of all samples of a component: two minutes of a vendor's emulation, at 0.2 billion a second."""


EDGE_OPERATIONS = 5 * 10**8
"""The same of requests at the edge: half a minute in emulation of a CPU, at 0.02 billion a second. They are for faults
of operators, which small models show as well."""


def affordable_edges(program: Program, most: int = EDGE_OPERATIONS) -> list[Edge]:
    """Returns the first requests at the edge whose operations stay within a bound; those of unusual size not.

    Args:
        program: Static shapes.
        most: Multiply-accumulates of all of them.
    """
    each = max(1, sum(_operations(program, name) for name in program.components))
    return [edge for edge in program.edges if edge.usual][: most // each]


def verification_samples(
    program: Program, feeds: Mapping[str, Sequence[Feeds]], most: int = MOST_OPERATIONS
) -> dict[str, list[Feeds]]:
    """Returns the samples of each component whose operations stay within a bound, at least one.

    Fewer are a draw at equal distances, the first and the last among them: calls of the first and of the last request.

    Args:
        program: Static shapes.
        feeds: Component name → what it was fed, in order.
        most: Multiply-accumulates of a component's samples.
    """
    chosen = {}
    for name, samples in feeds.items():
        count = min(len(samples), max(1, most // max(1, _operations(program, name))))
        places = np.linspace(0, len(samples) - 1, count).round().astype(int) if count else ()
        chosen[name] = [samples[place] for place in places]
    return chosen


def _operations(program: Program, component: str) -> int:
    return sum(operations(node) for node in program.components[component].model.graph)
