"""The static KV cache that a runner keeps between calls of the prefill and decode components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from program.program import CACHE_PREFIX, NEW_PREFIX, Array, TensorSpec

MASKED = -1e4
"""Added to the scores a token must not see; finite in float16, and exp(-1e4) is 0 in every float type."""


class KvCache:
    """Keys and values of every layer, as arrays `past_key_<l>` and `past_value_<l>` [1, kv_heads, C, head_dim].

    Args:
        inputs: Specs of a component's inputs; those named `past_…` are allocated.
    """

    def __init__(self, inputs: Iterable[TensorSpec]) -> None:
        self.arrays: dict[str, Array] = {
            spec.name: np.zeros(spec.shape, spec.numpy_dtype)
            for spec in inputs
            if spec.name.startswith(CACHE_PREFIX)
        }
        self.capacity = min(array.shape[2] for array in self.arrays.values())
        self.length = 0

    def append(self, outputs: Mapping[str, Array], rows: int) -> None:
        """Stores the first `rows` rows of the outputs `new_key_<l>` and `new_value_<l>`."""
        for name, array in self.arrays.items():
            new = outputs[name.replace(CACHE_PREFIX, NEW_PREFIX, 1)]
            array[:, :, self.length : self.length + rows] = new[:, :, :rows].astype(array.dtype)
        self.length += rows

    def mask(self, tokens: int, valid: int) -> Array:
        """The additive mask for `tokens` new tokens, of which the first `valid` are real.

        Returns:
            float32 [1, 1, tokens, capacity + tokens]: each real token sees what is cached, itself and the new
            tokens before it; a padding token too, so that its row of scores is well defined.
        """
        mask = np.full((tokens, self.capacity + tokens), MASKED, np.float32)
        mask[:, : self.length] = 0.0
        causal = np.tril(np.ones((tokens, tokens), np.bool_))
        causal[:, valid:] &= np.eye(tokens, dtype=np.bool_)[:, valid:]
        mask[:, self.capacity :][causal] = 0.0
        return mask[None, None]
