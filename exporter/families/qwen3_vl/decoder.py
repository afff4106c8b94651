"""The language model of Qwen3-VL with a static KV cache. Module names are those of the checkpoint.

One module serves both captures: S tokens for a prefill chunk, one token for a decode step. The cache comes in as it is,
and only the S new rows go out; the runner writes them in place. Deepstack features are dense (zero on
text tokens), so adding them needs no index.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from exporter.families.qwen3_vl.config import TextConfig
from exporter.families.qwen3_vl.positions import inverse_frequencies, mrope_selector
from exporter.families.qwen3_vl.vision import rotate


class TokenEmbedding(nn.Module):
    """Token ids → embeddings."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """[1, S] int64 → [1, S, hidden]."""
        embeddings: torch.Tensor = self.embed_tokens(input_ids)
        return embeddings


class Decoder(nn.Module):
    """Transformer decoder and LM head.

    Args:
        config: `text_config`.
        features: Number of deepstack features, added after the first layers; none in a decode step.
        select_row: Compute logits for one row of many (prefill); a decode step has one row.
    """

    def __init__(self, config: TextConfig, features: int, select_row: bool) -> None:
        super().__init__()
        self.features = features
        self.select_row = select_row
        self.rotary = RotaryTables(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.deepstack = DeepstackAdd()
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(
        self, inputs_embeds: torch.Tensor, mask: torch.Tensor, position_ids: torch.Tensor, *rest: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Runs S tokens after C cached ones.

        Args:
            inputs_embeds: [1, S, hidden].
            mask: [1, 1, S, C + S], added to the attention scores: 0 where a token may look, else a large negative.
            position_ids: [3, 1, S] int64: time, row, column.
            *rest: `logit_index` [1] int64 (if `select_row`); deepstack features [1, S, hidden]; then for each layer
                the cached keys and values [1, kv_heads, C, head_dim].

        Returns:
            Logits [1, vocab] of the row `logit_index`; for each layer the new keys and values
            [1, kv_heads, S, head_dim].
        """
        first = int(self.select_row)
        features, past = rest[first : first + self.features], rest[first + self.features :]
        cosine, sine = self.rotary(position_ids)
        hidden = inputs_embeds
        new: list[torch.Tensor] = []
        for index, layer in enumerate(self.layers):
            hidden, key, value = layer(hidden, mask, cosine, sine, past[2 * index], past[2 * index + 1])
            new += [key, value]
            if index < len(features):
                hidden = self.deepstack(hidden, features[index])
        if self.select_row:
            hidden = hidden.index_select(1, rest[0])
        return (self.lm_head(self.norm(hidden)).squeeze(1), *new)


class RotaryTables(nn.Module):
    """Cosine and sine of interleaved multimodal rotary positions."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        frequencies = inverse_frequencies(config.head_dim, config.rope_theta)
        self.register_buffer("frequencies", torch.from_numpy(frequencies), persistent=False)
        selector = torch.from_numpy(mrope_selector(config.mrope_section))
        self.register_buffer("selector", selector, persistent=False)

    def forward(self, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[3, 1, S] int64 → two tables [1, 1, S, head_dim] in float32."""
        chosen = position_ids.float().index_select(0, self.get_buffer("selector"))
        angles = chosen.permute(1, 2, 0) * self.get_buffer("frequencies")
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(1)
        return angles.cos(), angles.sin()


class DeepstackAdd(nn.Module):
    """Adds visual features to hidden states; a module of its own, so that its nodes are told apart as fusion."""

    def forward(self, hidden: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Both [1, S, hidden]."""
        return hidden + features


class DecoderLayer(nn.Module):
    """A pre-norm decoder layer."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = DecoderAttention(config)
        self.mlp = DecoderMLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, hidden: torch.Tensor, *attention_inputs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, S, hidden] → the same shape, and the new keys and values; see `DecoderAttention` for the rest."""
        mixed, key, value = self.self_attn(self.input_layernorm(hidden), *attention_inputs)
        hidden = hidden + mixed
        return hidden + self.mlp(self.post_attention_layernorm(hidden)), key, value


class DecoderAttention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        width, kv_width = self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)

    def forward(
        self,
        hidden: torch.Tensor,
        mask: torch.Tensor,
        cosine: torch.Tensor,
        sine: torch.Tensor,
        past_key: torch.Tensor,
        past_value: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Attends from S tokens to C cached and S new ones.

        Args:
            hidden: [1, S, hidden].
            mask: [1, 1, S, C + S].
            cosine: [1, 1, S, head_dim] float32, as `sine`.
            sine: See `cosine`.
            past_key: [1, kv_heads, C, head_dim], as `past_value`.
            past_value: See `past_key`.

        Returns:
            [1, S, hidden], new keys and new values [1, kv_heads, S, head_dim].
        """
        query = rotate(
            self.q_norm(self._split(self.q_proj(hidden), self.heads)).transpose(1, 2), cosine, sine
        )
        key = rotate(
            self.k_norm(self._split(self.k_proj(hidden), self.kv_heads)).transpose(1, 2), cosine, sine
        )
        value = self._split(self.v_proj(hidden), self.kv_heads).transpose(1, 2)
        mixed = self._attend(query, torch.cat((past_key, key), 2), torch.cat((past_value, value), 2), mask)
        return self.o_proj(mixed), key, value

    def _split(self, projected: torch.Tensor, heads: int) -> torch.Tensor:
        return projected.view(1, projected.shape[1], heads, self.head_dim)

    def _attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        tokens, columns = query.shape[2], keys.shape[2]
        # the queries of a group are stacked as rows, so that keys and values need not be repeated
        grouped = (query * self.head_dim**-0.5).reshape(1, self.kv_heads, -1, self.head_dim)
        scores = torch.matmul(grouped, keys.transpose(2, 3))
        scores = scores.view(1, self.heads, tokens, columns) + mask
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype)
        mixed = torch.matmul(weights.view(1, self.kv_heads, -1, columns), values)
        return mixed.view(1, self.heads, tokens, self.head_dim).transpose(1, 2).flatten(2)


class DecoderMLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[1, S, hidden] → the same shape."""
        result: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return result


class RMSNorm(nn.Module):
    """Root-mean-square normalisation (arXiv 1910.07467) with float32 statistics."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Normalises the last axis."""
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * scaled.to(hidden.dtype)
