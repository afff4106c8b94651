"""Contrastive pairs from data whose modalities were collected apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import overload

import numpy as np

from passes.learning.training.data.sample import MODALITIES, Sample


class PairByLabel(Sequence[Sample]):
    """Gives every entry the modalities it lacks, from another entry of its class.

    Which entry is chosen depends on the seed and the entry's index alone. An entry without a label, and a class that
    lacks a modality altogether, stay as they are.

    Args:
        samples: The entries.
        seed: Of the choice.
    """

    def __init__(self, samples: Sequence[Sample], seed: int = 0) -> None:
        self._samples = samples
        self._seed = seed
        self._sources: dict[tuple[str, str], list[int]] = {}
        for index, sample in enumerate(samples):
            for modality in MODALITIES:
                if sample.label is not None and getattr(sample, modality) is not None:
                    self._sources.setdefault((sample.label, modality), []).append(index)

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Completes entries."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        sample = self._samples[index]
        rng = np.random.default_rng([self._seed, index % len(self)])
        found = {}
        for modality in MODALITIES:
            sources = self._sources.get((sample.label or "", modality), ())
            if getattr(sample, modality) is None and len(sources):
                other = self._samples[sources[int(rng.integers(len(sources)))]]
                found[modality] = getattr(other, modality)
        return dataclasses.replace(sample, **found)
