"""Calibration inputs of a decoder: random hidden states behind caches of several lengths."""

from __future__ import annotations

import numpy as np

from exporter.families.kv_cache import KvCache
from program.program import Array, Component, TensorSpec


def decoder_samples(component: Component, lengths: tuple[int, ...]) -> list[dict[str, Array]]:
    """Returns one sample of all inputs for each number of cached tokens.

    Args:
        component: Prefill or decode, whole.
        lengths: Tokens in the cache.
    """
    return [_sample(component, length, np.random.default_rng(length)) for length in lengths]


def _sample(component: Component, length: int, random: np.random.Generator) -> dict[str, Array]:
    cache = KvCache(component.inputs)
    cache.length = length
    specs = {spec.name: spec for spec in component.inputs}
    tokens = specs["inputs_embeds"].shape[1]
    feeds = {name: _value(spec, length, random) for name, spec in specs.items()}
    feeds["mask"] = cache.mask(tokens, tokens).astype(specs["mask"].numpy_dtype)
    positions = length + np.arange(tokens, dtype=np.int64)
    feeds["position_ids"] = np.broadcast_to(positions, (3, 1, tokens)).copy()
    if "logit_index" in specs:
        feeds["logit_index"] = np.array([tokens - 1])
    return feeds


def _value(spec: TensorSpec, length: int, random: np.random.Generator) -> Array:
    values = random.standard_normal(spec.shape).astype(np.float32)
    if spec.name.startswith("past_"):
        values[:, :, length:] = 0
    if spec.name.startswith("deepstack_"):
        values *= 0.1
    return values.astype(spec.numpy_dtype)
