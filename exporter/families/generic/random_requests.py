"""Seeded synthetic requests of a model without preprocessing, ordinary ones and such at the edge."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.families.generic.index_ranges import index_ranges
from exporter.options import CaptureOptions
from program.program import Array, Edge, Request, TensorSpec

DRAWN = "random numbers: floats normal(0, 1), integers from the range of what they index"
"""What `random_requests` draws, in words."""

MAX_BYTES = 1 << 28
"""Of all ordinary requests, and of all at the edge; of larger inputs there are fewer, and at least one of each."""

_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
_SMALL, _LARGE = 0.01, 1000.0

Fill = Callable[[TensorSpec], Array]
"""Makes the values of one input."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How synthetic inputs are drawn.

    Attributes:
        inputs: What to fill.
        ranges: Input → lowest and highest value of an integer.
        seed: Of the random numbers.
    """

    inputs: tuple[TensorSpec, ...]
    ranges: Mapping[str, tuple[int, int]]
    seed: int

    def at_most(self, count: int) -> int:
        """Returns how many requests there may be of `count`."""
        size = sum(math.prod(spec.shape) * spec.numpy_dtype.itemsize for spec in self.inputs)
        return max(1, min(count, MAX_BYTES // max(1, size)))

    def usual(self, rng: np.random.Generator, spec: TensorSpec) -> Array:
        """Draws an ordinary input: floats normal(0, 1), integers of their range, bools either."""
        if spec.dtype in _FLOATS:
            return rng.standard_normal(spec.shape).astype(spec.numpy_dtype)
        low, high = self.ranges[spec.name]
        return np.asarray(rng.integers(low, high + 1, spec.shape)).astype(spec.numpy_dtype)

    def request(self, fill: Fill) -> Request:
        """Fills every input."""
        return Request(tensors={spec.name: fill(spec) for spec in self.inputs})


def drawing(
    graph: ir.Graph, inputs: Sequence[TensorSpec], seed: int, example: Mapping[str, Array]
) -> Drawing:
    """Finds out what can be drawn.

    Args:
        graph: The captured graph; what an integer input indexes bounds it.
        inputs: Of the graph.
        seed: Of the random numbers.
        example: Real inputs by name; they bound integers that index nothing. Without them those of 8 bits have their
            whole range, others are 0 or 1.
    """
    indexed = index_ranges(graph)
    return Drawing(
        tuple(inputs),
        {spec.name: indexed.get(spec.name) or _seen(spec, example.get(spec.name)) for spec in inputs},
        seed,
    )


def random_requests(
    draw: Drawing, options: CaptureOptions, example: Mapping[str, Array]
) -> tuple[Request, ...]:
    """Requests with random tensors.

    Args:
        draw: What to fill.
        options: Number.
        example: Arrays by input name; if all inputs are there, they are the first request.
    """
    rng = np.random.default_rng(draw.seed)
    requests = [
        draw.request(lambda spec: draw.usual(rng, spec)) for _ in range(draw.at_most(options.requests))
    ]
    if all(spec.name in example for spec in draw.inputs):
        tensors = {spec.name: example[spec.name].astype(spec.numpy_dtype) for spec in draw.inputs}
        requests[0] = Request(tensors=tensors)
    return tuple(requests)


def edge_requests(draw: Drawing) -> tuple[Edge, ...]:
    """Requests whose values break things: constant and negative floats, hidden masks, indices at both ends.

    Args:
        draw: What to fill.
    """
    return tuple(itertools.islice(_edges(draw), draw.at_most(sys.maxsize)))


def _edges(draw: Drawing) -> Iterator[Edge]:
    rng = np.random.default_rng((draw.seed, 1))

    def edge(name: str, *, usual: bool = True, **fills: Fill) -> Edge:
        def fill(spec: TensorSpec) -> Array:
            chosen = fills.get(_kind(spec))
            drawn = draw.usual(rng, spec) if chosen is None else chosen(spec)
            return np.asarray(drawn).astype(spec.numpy_dtype)

        return Edge(name, draw.request(fill), usual)

    kinds = {_kind(spec) for spec in draw.inputs}
    if "masks" in kinds:
        yield edge("masks are all 0", masks=lambda spec: np.zeros(spec.shape))
        yield edge("masks are all 1", masks=lambda spec: np.ones(spec.shape))
        yield edge(
            "masks are 0 and 1", masks=lambda spec: np.arange(np.prod(spec.shape)).reshape(spec.shape) % 2
        )
    if "integers" in kinds:
        yield edge("lowest integers", integers=lambda spec: np.full(spec.shape, draw.ranges[spec.name][0]))
        if any(draw.ranges[spec.name] == (0, 1) for spec in draw.inputs if _kind(spec) == "integers"):
            # nothing says what they count or choose
            yield edge("integers are up to 100", integers=lambda spec: rng.integers(0, 101, spec.shape))
        yield edge("highest integers", integers=lambda spec: np.full(spec.shape, draw.ranges[spec.name][1]))
    if "floats" in kinds:
        yield edge("floats are 0", floats=lambda spec: np.zeros(spec.shape))
        yield edge("floats are 1", floats=lambda spec: np.ones(spec.shape))
        yield edge("floats are negative", floats=lambda spec: -np.abs(rng.standard_normal(spec.shape)))
        yield edge("floats are small", floats=lambda spec: _SMALL * rng.standard_normal(spec.shape))
        yield edge(
            "floats are large", usual=False, floats=lambda spec: _LARGE * rng.standard_normal(spec.shape)
        )


def _kind(spec: TensorSpec) -> str:
    if spec.dtype in _FLOATS:
        return "floats"
    return "masks" if spec.dtype == ir.DataType.BOOL or _is_mask(spec) else "integers"


def _is_mask(spec: TensorSpec) -> bool:
    return "mask" in spec.name.lower()


def _seen(spec: TensorSpec, example: Array | None) -> tuple[int, int]:
    if _kind(spec) != "integers":
        return 0, 1
    if example is None or not example.size:
        if spec.numpy_dtype.kind not in "iu":  # FP8, and integers that numpy lacks
            return 0, 1
        limits = np.iinfo(spec.numpy_dtype)
        return (int(limits.min), int(limits.max)) if limits.bits == 8 else (0, 1)
    return int(example.min()), int(example.max())
