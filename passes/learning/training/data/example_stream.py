"""Augmented batches of a data set, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from passes.learning.training.batches import ShuffledStream
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.read_example import ReadLimits, read_example
from passes.learning.training.data.sample import Example, Sample

Batch = TypeVar("Batch")


class ExampleStream(ShuffledStream[Batch]):
    """Reads, augments and joins examples when their batch is drawn; nothing else of the data set is in memory.

    A batch depends on the seed and its number alone: a stream that was resumed gives the batches it would have given.
    The number is the step that augmentation schedules count in.

    Args:
        samples: Such as a `Manifest`.
        collate: Examples → batch: preprocessing and stacking.
        batch_size: Examples in a batch.
        seed: Of orders and augmentation.
        augmenter: Default: none.
        limits: Of files.

    Raises:
        TrainingError: There are fewer examples than one batch needs.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        collate: Callable[[list[Example]], Batch],
        batch_size: int,
        seed: int,
        augmenter: Augmenter | None = None,
        limits: ReadLimits | None = None,
    ) -> None:
        self._augmenter = augmenter or Augmenter()
        self._limits = limits
        self._stack = collate
        super().__init__(samples, self._augment, batch_size, seed)

    def _augment(self, samples: list[Sample], rng: np.random.Generator) -> Batch:
        step = int(self.state_dict()["position"]) - 1  # the position is that of the next batch
        examples = [self._augmenter(read_example(sample, self._limits), step, rng) for sample in samples]
        return self._stack(examples)
