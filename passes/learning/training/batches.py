"""Endless streams of training batches that can be stopped, saved and resumed at any batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch

from passes.learning.training.errors import TrainingError

Batch = TypeVar("Batch")
Produced = TypeVar("Produced", covariant=True)
Example = TypeVar("Example")


class BatchStream(Protocol[Produced]):
    """Batches without end, in an order that the stream's state decides alone."""

    def __iter__(self) -> Iterator[Produced]:
        """Returns the iterator that moves the stream on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns what `load_state_dict` needs to continue with the next batch, as JSON."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was called.

        Raises:
            TrainingError: The state belongs to another stream.
        """
        ...


class DrawnStream(BatchStream[Batch]):
    """Batches that a function draws; batch i depends on the seed and on i alone.

    Args:
        draw: Generator → batch.
        seed: Of the generators.
    """

    def __init__(self, draw: Callable[[np.random.Generator], Batch], seed: int) -> None:
        self._draw = draw
        self._seed = seed
        self._position = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        position = self._position
        self._position += 1
        return self._draw(np.random.default_rng([self._seed, position]))

    def skip(self) -> None:
        """Moves on by one batch without drawing it."""
        self._position += 1

    def state_dict(self) -> dict[str, Any]:
        """Returns seed and position."""
        return {"seed": self._seed, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues at a position.

        Raises:
            TrainingError: The state is one of another seed.
        """
        self._position = read_position(state, {"seed": self._seed})


class ShuffledStream(DrawnStream[Batch]):
    """Batches of a data set, epoch by epoch in a new order; the last, incomplete batch of an epoch is left out.

    Args:
        examples: Random access; an item is read when its batch is drawn.
        collate: Examples → batch; it gets a generator of its own for augmentation.
        batch_size: Examples in a batch.
        seed: Of orders and generators.

    Raises:
        TrainingError: There are fewer examples than one batch needs.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        collate: Callable[[list[Example], np.random.Generator], Batch],
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(self._collate, seed)
        if not 1 <= batch_size <= len(examples):
            raise TrainingError(
                "the data set does not fill a batch",
                received=f"{len(examples)} examples, batches of {batch_size}",
                remedy="give more examples or a smaller batch",
            )
        self._examples: Sequence[Any] = examples
        self._join: Callable[[list[Any], np.random.Generator], Batch] = collate
        self._batch_size = batch_size

    def state_dict(self) -> dict[str, Any]:
        """Returns seed, position, and what the order depends on."""
        return {**super().state_dict(), **self._shape()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues at a position.

        Raises:
            TrainingError: The state is one of another seed, data set or batch size.
        """
        self._position = read_position(state, {"seed": self._seed, **self._shape()})

    def _shape(self) -> dict[str, int]:
        return {"examples": len(self._examples), "batch_size": self._batch_size}

    def _collate(self, rng: np.random.Generator) -> Batch:
        epoch, batch = divmod(self._position - 1, len(self._examples) // self._batch_size)
        order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._examples))
        chosen = order[batch * self._batch_size : (batch + 1) * self._batch_size]
        return self._join([self._examples[int(index)] for index in chosen], rng)


def read_position(state: Mapping[str, Any], expected: Mapping[str, Any]) -> int:
    """Returns the position in a stream's state.

    Args:
        state: From a checkpoint.
        expected: Entries that must be equal for the order to be the same.

    Raises:
        TrainingError: They are not, or there is no position.
    """
    position = state.get("position")
    if any(state.get(name) != value for name, value in expected.items()) or type(position) is not int:
        raise TrainingError(
            "the checkpoint's data stream is not the one given",
            received=str(dict(state))[:200],
            remedy=f"continue with the same data ({dict(expected)}), or start in an empty checkpoint folder",
        )
    return position


def skip(iterator: Iterator[Any]) -> None:
    """Moves on by one batch, without producing it where the stream can."""
    if isinstance(iterator, DrawnStream):
        iterator.skip()
    else:
        next(iterator)


def to_device(batch: Any, device: torch.device) -> Any:
    """Returns a batch with every tensor in its mappings, sequences and dataclasses on a device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(value, device) for value in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = [field.name for field in dataclasses.fields(batch) if field.init]
        return dataclasses.replace(
            batch, **{name: to_device(getattr(batch, name), device) for name in fields}
        )
    return batch
