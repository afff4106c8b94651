"""How far a reference moves by itself: the bound of deep FP8 components.

Two correct implementations add in another order, so their float16 values differ by units in the last place. Where FP8
rounding follows, some of those move a value to the neighbouring code, and a deep component passes every such step on.
How much arrives at its outputs depends on its weights and depth, not on the implementation: it is measured, by
changing the reference's own inputs by as little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporter.program import Array, Feeds
from npuc.agreement import Bound, Reference, compare

HALF_UNIT = 2.0**-11
"""Half a unit in the last place of float16, relative to 1 (IEEE 754 binary16: 11 significant bits)."""

MARGIN = 3.0
"""dB; an implementation rounds at every operator, the changed reference only differs at its inputs: twice the noise."""

LEAST = 10.0
"""dB; a component that moves further by itself is not judged, whatever computes it."""


def sensitivity(reference: Reference, feeds: Sequence[Feeds], seed: int = 0) -> float | None:
    """Compares a reference with itself on inputs that differ in their last place.

    Args:
        reference: The ONNX graph.
        feeds: Samples, at least one.
        seed: Of the direction in which each value changes.

    Returns:
        Signal-to-noise ratio of its outputs, dB; None where nothing changed.
    """
    rng = np.random.default_rng(seed)
    changed = [{name: _changed(array, rng) for name, array in feed.items()} for feed in feeds]
    samples = iter(changed)
    return compare(reference, lambda _feed: reference.run(next(samples)), feeds, Bound()).sqnr


def attainable_bound(bound: Bound, reference: Reference, feeds: Sequence[Feeds]) -> Bound:
    """Returns the bound an implementation can be held to: the given one, or what the reference keeps by itself.

    Args:
        bound: Of the component's formats.
        reference: The ONNX graph.
        feeds: Samples, at least one.
    """
    if bound.min_sqnr is None:
        return bound
    own = sensitivity(reference, feeds)
    if own is None or own - MARGIN >= bound.min_sqnr:
        return bound
    return Bound(min_sqnr=max(LEAST, round(own - MARGIN, 1)), own=True)


def _changed(array: Array, rng: np.random.Generator) -> Array:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    direction = rng.choice(np.array([-HALF_UNIT, HALF_UNIT], np.float32), array.shape)
    changed: Array = (array.astype(np.float32) * (1 + direction)).astype(array.dtype)
    return changed
