"""Symbolic dimensions that are found to be equal, or to be products of smaller ones, while a graph is read.

An axis of a tensor is a tuple of dimensions, outermost first: the output axis of a query projection is (groups, heads
in a group, head channels) as soon as a Reshape has split it. Size 1 is the empty tuple, so that broadcasting needs no
rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

Axis = tuple[int, ...]
"""Identifiers of dimensions, outermost first."""


@dataclasses.dataclass
class _Entry:
    size: int
    parent: int | None = None
    parts: tuple[int, int] | None = None
    fixed: str = ""
    cached: bool = False


class Dimensions:
    """A union-find over dimensions whose members may be split into an outer and an inner part."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def axis(self, size: int, fixed: str = "") -> Axis:
        """Makes an axis of its own.

        Args:
            size: Extent.
            fixed: Why it cannot be cut; empty where it can.
        """
        if size == 1:
            return ()
        self._entries.append(_Entry(size, fixed=fixed))
        return (len(self._entries) - 1,)

    def leaves(self, axis: Axis) -> Axis:
        """Returns what an axis is made of by now: representatives that are not split further."""
        result: list[int] = []
        for dimension in axis:
            root = self._root(dimension)
            parts = self._entries[root].parts
            result.extend((root,) if parts is None else self.leaves(parts))
        return tuple(result)

    def size(self, dimension: int) -> int:
        """Returns the extent of a representative."""
        return self._entries[dimension].size

    def fixed(self, dimension: int) -> str:
        """Returns why a representative cannot be cut; empty where it can."""
        return self._entries[dimension].fixed

    def cached(self, dimension: int) -> bool:
        """Whether a representative is an axis of the KV cache."""
        return self._entries[dimension].cached

    def fix(self, axis: Axis, reason: str) -> None:
        """Forbids to cut an axis."""
        for leaf in self.leaves(axis):
            self._entries[leaf].fixed = self._entries[leaf].fixed or reason

    def mark_cached(self, axis: Axis) -> None:
        """Marks an axis as one of the KV cache."""
        for leaf in self.leaves(axis):
            self._entries[leaf].cached = True

    def unify(self, first: Axis, second: Axis, reason: str) -> None:
        """States that two axes index the same channels.

        Args:
            first: An axis.
            second: One of the same extent.
            reason: Why both are fixed if they are products of different factors.
        """
        left, right = list(self.leaves(first)), list(self.leaves(second))
        while left and right:
            a, b = left[0], right[0]
            smaller = min(self.size(a), self.size(b))
            if self.size(a) % smaller or self.size(b) % smaller:
                break
            a, b = self._take(left, smaller), self._take(right, smaller)
            self._union(a, b)
            # a union may have split what is still to come
            left, right = list(self.leaves(tuple(left))), list(self.leaves(tuple(right)))
        self.fix((*left, *right), reason)

    def regroup(self, axes: Sequence[Axis], shape: Sequence[int]) -> list[Axis] | None:
        """Distributes the factors of axes over a new shape, splitting factors where that is needed.

        Args:
            axes: Of the tensor that is reshaped.
            shape: The new extents.

        Returns:
            An axis for each extent; None where the factors do not fit.
        """
        rest = [leaf for axis in axes for leaf in self.leaves(axis)]
        result: list[Axis] = []
        for extent in shape:
            chosen: list[int] = []
            while extent > 1:
                if not rest:
                    return None
                size = self.size(rest[0])
                smaller = min(size, extent)
                if size % smaller or extent % smaller:
                    return None
                chosen.append(self._take(rest, smaller))
                rest = list(self.leaves(tuple(rest)))
                extent //= smaller
            result.append(tuple(chosen))
        return result if not rest else None

    def _take(self, factors: list[int], size: int) -> int:
        """Removes the first factor, or its outer part of the given size, from a list."""
        first = factors.pop(0)
        if self.size(first) == size:
            return first
        entry = self._entries[first]
        outer, inner = self._child(entry, size), self._child(entry, entry.size // size)
        entry.parts = (outer, inner)
        factors.insert(0, inner)
        return outer

    def _child(self, entry: _Entry, size: int) -> int:
        self._entries.append(_Entry(size, fixed=entry.fixed, cached=entry.cached))
        return len(self._entries) - 1

    def _root(self, dimension: int) -> int:
        parent = self._entries[dimension].parent
        while parent is not None:
            dimension, parent = parent, self._entries[parent].parent
        return dimension

    def _union(self, a: int, b: int) -> None:
        if a == b:
            return
        first, second = self._entries[a], self._entries[b]
        first.fixed = first.fixed or second.fixed
        first.cached = first.cached or second.cached
        second.parent = a
