"""How a family's checkpoint is made of dimensions: enough to count, to shrink and to cut it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Dimensions = Mapping[str, int]
Indices = npt.NDArray[np.int64]
Size = TypeVar("Size", int, npt.NDArray[np.int64])


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a tensor: `repeats` runs over a dimension's units, each unit `width` values long.

    Attributes:
        dimension: Name of the dimension, or empty for an axis whose size never changes.
        width: Values of one unit (head_dim for a dimension of heads); the whole size of a fixed axis.
        repeats: How often the dimension is run through (3 for query, key and value in one tensor).
    """

    dimension: str
    width: int = 1
    repeats: int = 1

    def size(self, dimensions: Mapping[str, Size]) -> Size | int:
        """Returns the number of values."""
        return self.repeats * self.width * (dimensions[self.dimension] if self.dimension else 1)

    def rows(self, units: Indices, count: int) -> Indices:
        """Returns the positions of chosen units on the axis.

        Args:
            units: Ascending.
            count: Units the dimension has.
        """
        starts = np.arange(self.repeats)[:, None, None] * count + units[None, :, None]
        return (starts * self.width + np.arange(self.width)).reshape(-1)


@dataclasses.dataclass(frozen=True)
class Weight:
    """A tensor of the checkpoint, or one of each layer.

    Attributes:
        name: With `{layer}` for the number of the layer.
        axes: In order.
        layers: Dimension that counts the layers, or empty.
    """

    name: str
    axes: tuple[Axis, ...]
    layers: str = ""

    def count(self, dimensions: Mapping[str, Size]) -> Size | int:
        """Returns the number of parameters, those of all layers together."""
        total: Size | int = math.prod(axis.size(dimensions) for axis in self.axes)
        return total * dimensions[self.layers] if self.layers else total


@dataclasses.dataclass(frozen=True)
class Choice:
    """A dimension that a student may have smaller.

    Attributes:
        name: Of the dimension.
        step: Sizes are multiples of it.
        exponent: How fast it shrinks beside the others: 1 like the width, less for what is kept longer.
        least: Smallest size.
    """

    name: str
    step: int = 1
    exponent: float = 1.0
    least: int = 1


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the model whose share of the parameters is decided: the vision tower, the rest.

    Attributes:
        name: Shown to users.
        weights: Of the part.
        choices: What may shrink.
    """

    name: str
    weights: tuple[Weight, ...]
    choices: tuple[Choice, ...]

    def count(self, dimensions: Mapping[str, Size]) -> Size | int:
        """Returns the number of parameters."""
        return sum(weight.count(dimensions) for weight in self.weights)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A model's checkpoint in terms of its dimensions.

    Attributes:
        dimensions: The model's own.
        parts: In the order in which they are solved; a later part may depend on dimensions of earlier ones.
        derive: Completes dimensions that follow from others.
        stacks: Dimension that counts layers → path of a layer's module, with `{layer}`.
        configured: Dimensions, chosen layers → the student's config.json.
    """

    dimensions: Dimensions
    parts: tuple[Part, ...]
    derive: Callable[[dict[str, Any]], dict[str, Any]]
    stacks: Mapping[str, str]
    configured: Callable[[Dimensions, Mapping[str, Indices]], dict[str, Any]]

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Those of all parts."""
        return tuple(weight for part in self.parts for weight in part.weights)

    def tensors(self) -> Iterator[tuple[str, Weight, int]]:
        """Yields every tensor's name, the weight it is one of, and the number of its layer, 0 without layers."""
        for weight in self.weights:
            for layer in range(self.dimensions[weight.layers] if weight.layers else 1):
                yield weight.name.format(layer=layer), weight, layer

    def count(self, dimensions: Dimensions | None = None) -> int:
        """Returns the number of parameters of a model with these dimensions, default its own."""
        return sum(int(part.count(dimensions or self.dimensions)) for part in self.parts)

    def share(self, part: str, dimensions: Dimensions | None = None) -> float:
        """Returns a part's share of the parameters."""
        chosen = dimensions or self.dimensions
        counts = {each.name: int(each.count(chosen)) for each in self.parts}
        return counts[part] / sum(counts.values())

    def layers_of(self, dimension: str) -> str:
        """Returns the stack in whose layers alone a dimension occurs, so that each layer chooses its own units."""
        stacks = {
            weight.layers for weight in self.weights for axis in weight.axes if axis.dimension == dimension
        }
        return stacks.pop() if len(stacks) == 1 else ""
