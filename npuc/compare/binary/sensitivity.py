"""How far a reference moves by itself: the bound of deep FP8 components.

Two correct implementations add in another order, or round at other places, so their values differ by units in the last
place. Where FP8 rounding follows, some of those move a value to the neighbouring code, and a deep component passes
every such step on. How much arrives at its outputs depends on its weights and depth, not on the implementation: it is
measured, by changing the values that the reference itself computes by as little.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from npuc.compare.binary.agreement import Bound, Reference, compare
from npuc.compare.noisy_graph import EITHER_NEIGHBOUR, noisy_graph
from program.onnx_executor import OnnxExecutor
from program.program import Executor, Feeds

MARGIN = 1.0
"""dB between one draw of the changes and the next."""

LEAST = 10.0
"""dB; a component that moves further by itself is not judged, whatever computes it."""


def moved_reference(graph: Path, seed: int = 0) -> Executor:
    """Opens a reference graph whose values are rounded to the other neighbour in half of the cases.

    Args:
        graph: The ONNX graph.
        seed: Draws which.
    """
    return OnnxExecutor(
        noisy_graph(ir.load(graph), np.random.default_rng(seed), EITHER_NEIGHBOUR, each_channel=True)
    )


def attainable_bound(bound: Bound, reference: Reference, moved: Executor, feeds: Sequence[Feeds]) -> Bound:
    """Returns the bound an implementation can be held to: the given one, or what the reference keeps by itself.

    Args:
        bound: Of the component's formats.
        reference: The ONNX graph.
        moved: The same, from `moved_reference`.
        feeds: Samples, at least one.
    """
    if bound.min_sqnr is None:
        return bound
    own = compare(reference, moved, feeds, Bound()).sqnr
    if own is None or own - MARGIN >= bound.min_sqnr:
        return bound
    return Bound(min_sqnr=max(LEAST, round(own - MARGIN, 1)), own=True)
