"""Bounds that hold for every tensor, whatever file it comes from."""

MAX_RANK = 64
"""Axes; numpy has the same limit. A product of a million extents takes minutes to compute."""
