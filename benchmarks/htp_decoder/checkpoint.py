"""A Qwen3-VL-4B checkpoint with seeded random weights and as many layers as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import capture_memory
from benchmarks.htp_decoder.tokenizer import write_tokenizer
from exporter.files.safetensors_header import StoredTensor, read_header
from program.program import Array

_DEVIATION = 0.02
"""`initializer_range` of the published config."""

_POOL = 1 << 24
"""Number of normal values; each block of a matrix takes their magnitudes from a random place, with signs of its own."""


def write_random_checkpoint(folder: Path, layers: int, vision_layers: int = 0) -> int:
    """Writes config.json, tokenizer and weights.

    Args:
        folder: Existing folder.
        layers: Decoder layers; 36 in the model.
        vision_layers: Layers of the vision encoder, 24 in the model; 0 makes a small one whose weights stay holes in
            the file, for those who are interested in the decoder alone.

    Returns:
        Bytes of random weights.
    """
    capture_memory.CONFIG["text_config"]["num_hidden_layers"] = layers
    features = min(layers, vision_layers or layers, 3)
    depth = vision_layers or features
    capture_memory.CONFIG["vision_config"] |= {
        "depth": depth,
        "deepstack_visual_indexes": [depth * (index + 1) // (features + 1) for index in range(features)],
    }
    capture_memory.write_checkpoint(folder)
    write_tokenizer(folder)
    path = folder / "model.safetensors"
    prefixes = ("model.language_model.", "model.visual.") if vision_layers else ("model.language_model.",)
    tensors = [item for item in read_header(path).values() if item.name.startswith(prefixes)]
    pool = _bfloat16(_DEVIATION * np.random.default_rng(0).standard_normal(_POOL, np.float32))
    with path.open("r+b") as file:
        for index, tensor in enumerate(sorted(tensors, key=lambda item: item.offset)):
            file.seek(tensor.offset)
            for block in _blocks(tensor, pool, index):
                file.write(np.ascontiguousarray(block).data)
    return sum(tensor.nbytes for tensor in tensors)


def _blocks(tensor: StoredTensor, pool: Array, seed: int) -> Iterator[Array]:
    """Yields bfloat16 as uint16. Gains of norms lie around 1, biases and matrices around 0."""
    random = np.random.Generator(np.random.SFC64(seed))
    size = tensor.nbytes // 2
    if len(tensor.shape) == 1:
        centre = 0.0 if tensor.name.endswith(".bias") else 1.0
        yield _bfloat16(centre + _DEVIATION * random.standard_normal(size, np.float32))
        return
    for start in range(0, size, _POOL):
        count = min(_POOL, size - start)
        signs = np.frombuffer(random.bytes(2 * count), np.uint16) & np.uint16(0x8000)
        yield np.roll(pool, int(random.integers(_POOL)))[:count] ^ signs


def _bfloat16(values: Array) -> Array:
    """The upper half of float32."""
    return values.astype(np.float32).view(np.uint16)[1::2]
