"""Captures Qwen3-VL-4B (all 36 layers) and prints wall time and peak memory: `python -m benchmarks.capture_memory`.

The checkpoint is a sparse file: right names, shapes and size (8.9 GB of bfloat16), no bytes on disk. Capturing reads
headers only; `--digest` adds the sha256 of the weights for the manifest, which reads them once.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CONFIG: dict[str, Any] = {
    "model_type": "qwen3_vl",
    "image_token_id": 151655,
    "tie_word_embeddings": True,
    "text_config": {
        "vocab_size": 151936, "hidden_size": 2560, "hidden_act": "silu", "intermediate_size": 9728,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "rms_norm_eps": 1e-6, "attention_bias": False, "rope_theta": 5000000, "eos_token_id": 151645,
        "rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [24, 20, 20]},
    },
    "vision_config": {
        "depth": 24, "hidden_size": 1024, "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 4096,
        "num_heads": 16, "in_channels": 3, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "out_hidden_size": 2560, "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
    },
}  # fmt: skip
"""Qwen3-VL-4B as its config.json gives it."""

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def text_shapes() -> Shapes:
    """Names and shapes of the language model's tensors (the LM head is tied)."""
    text = CONFIG["text_config"]
    hidden, inner, head = text["hidden_size"], text["intermediate_size"], text["head_dim"]
    width, kv_width = text["num_attention_heads"] * head, text["num_key_value_heads"] * head
    yield "model.language_model.embed_tokens.weight", (text["vocab_size"], hidden)
    yield "model.language_model.norm.weight", (hidden,)
    layer = {
        "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (width, hidden), "self_attn.k_proj": (kv_width, hidden),
        "self_attn.v_proj": (kv_width, hidden), "self_attn.o_proj": (hidden, width),
        "self_attn.q_norm": (head,), "self_attn.k_norm": (head,),
        "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner),
    }  # fmt: skip
    for index in range(text["num_hidden_layers"]):
        for name, shape in layer.items():
            yield f"model.language_model.layers.{index}.{name}.weight", shape


def vision_shapes() -> Shapes:
    """Names and shapes of the vision encoder's tensors."""
    vision = CONFIG["vision_config"]
    hidden, inner, out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    merged = hidden * vision["spatial_merge_size"] ** 2
    patch = vision["patch_size"]
    yield "model.visual.patch_embed.proj.weight", (hidden, 3, vision["temporal_patch_size"], patch, patch)
    yield "model.visual.patch_embed.proj.bias", (hidden,)
    yield "model.visual.pos_embed.weight", (vision["num_position_embeddings"], hidden)
    block = {
        "norm1": (hidden,), "norm2": (hidden,), "attn.qkv": (3 * hidden, hidden), "attn.proj": (hidden, hidden),
        "mlp.linear_fc1": (inner, hidden), "mlp.linear_fc2": (hidden, inner),
    }  # fmt: skip
    for index in range(vision["depth"]):
        yield from _with_bias(f"model.visual.blocks.{index}", block)
    linear = {"linear_fc1": (merged, merged), "linear_fc2": (out, merged)}
    yield from _with_bias("model.visual.merger", {"norm": (hidden,), **linear})
    for index in range(len(vision["deepstack_visual_indexes"])):
        yield from _with_bias(f"model.visual.deepstack_merger_list.{index}", {"norm": (merged,), **linear})


def _with_bias(prefix: str, shapes: dict[str, tuple[int, ...]]) -> Shapes:
    for name, shape in shapes.items():
        yield f"{prefix}.{name}.weight", shape
        yield f"{prefix}.{name}.bias", shape[:1]


def write_checkpoint(folder: Path) -> int:
    """Writes the folder with a sparse weight file, and a tokenizer of bytes only.

    Returns:
        Number of parameters.
    """
    import tokenizers
    from tokenizers import models, pre_tokenizers

    (folder / "config.json").write_text(json.dumps(CONFIG))
    alphabet = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizers.Tokenizer(models.BPE(vocab=alphabet, merges=[])).save(str(folder / "tokenizer.json"))
    header, offset = {}, 0
    for name, shape in (*text_shapes(), *vision_shapes()):
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    data = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + offset)
    return offset // 2


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digest", action="store_true", help="read the weights once for their sha256")
    parser.add_argument("--layers", type=int, default=36, help="decoder layers (36 in the model)")
    arguments = parser.parse_args()
    CONFIG["text_config"]["num_hidden_layers"] = arguments.layers
    from exporter.files.model_folder import ModelFolder
    from exporter.options import CaptureOptions
    from exporter.sources import open_source

    if not arguments.digest:
        ModelFolder.sha256 = lambda _self, _name: ""  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        parameters = write_checkpoint(Path(folder))
        start, cpu = time.perf_counter(), time.process_time()
        program = open_source(folder, CaptureOptions(dtype="float16", prefill_length=128, cache_length=1024))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"parameters     {parameters:,} ({2 * parameters / 1e9:.2f} GB in bfloat16)")
    for component in program.components.values():
        print(f"{component.name:14s} {len(component.model.graph):5d} nodes")
    print(f"capture        {wall:.1f} s wall, {cpu:.1f} s CPU, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
