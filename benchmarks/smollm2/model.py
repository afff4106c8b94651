"""A Llama decoder that scores whole texts: token ids → logits of every position, no cache."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.smollm2.weights import LlamaConfig


class LanguageModel(nn.Module):
    """Embedding, decoder layers, tied head. Module names are those of the checkpoint."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.epsilon)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """[B, S] int64 → [B, S, vocabulary]."""
        cosine, sine = _rotary_tables(self.config, input_ids.shape[1])
        hidden = self.embed_tokens(input_ids)
        for layer in self.layers:
            hidden = layer(hidden, cosine, sine)
        return functional.linear(self.norm(hidden), self.embed_tokens.weight)


class DecoderLayer(nn.Module):
    """Pre-norm attention and SwiGLU."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = nn.RMSNorm(config.width, config.epsilon)
        self.post_attention_layernorm = nn.RMSNorm(config.width, config.epsilon)

    def forward(self, hidden: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """[B, S, width] → the same shape."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), cosine, sine)
        result: torch.Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return result


class Attention(nn.Module):
    """Causal grouped-query attention."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        kv_width = self.kv_heads * self.head_dim
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.k_proj = nn.Linear(config.width, kv_width, bias=False)
        self.v_proj = nn.Linear(config.width, kv_width, bias=False)
        self.o_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, hidden: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """[B, S, width] → the same shape."""
        batch, length, _ = hidden.shape
        query = _rotate(self._split(self.q_proj(hidden), self.heads), cosine, sine)
        key = _rotate(self._split(self.k_proj(hidden), self.kv_heads), cosine, sine)
        value = self._split(self.v_proj(hidden), self.kv_heads)
        # the queries of a group are stacked as rows, so that keys and values need not be repeated
        grouped = (query * self.head_dim**-0.5).reshape(batch, self.kv_heads, -1, self.head_dim)
        scores = torch.matmul(grouped, key.transpose(2, 3)).view(batch, self.heads, length, length)
        mask = torch.full((length, length), -1e4).triu(1)
        weights = torch.softmax(scores + mask, dim=-1).view(batch, self.kv_heads, -1, length)
        mixed = torch.matmul(weights, value).view(batch, self.heads, length, self.head_dim)
        result: torch.Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return result

    def _split(self, projected: torch.Tensor, heads: int) -> torch.Tensor:
        return projected.view(*projected.shape[:2], heads, self.head_dim).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.width, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.width, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[B, S, width] → the same shape."""
        result: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return result


def _rotary_tables(config: LlamaConfig, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), config.rope_theta**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def _rotate(values: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    first, second = values.chunk(2, dim=-1)
    return values * cosine + torch.cat((-second, first), dim=-1) * sine
