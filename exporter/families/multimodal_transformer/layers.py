"""Building blocks of the bundled model. Attention is spelled out, so that it exports to plain matmuls."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Pairing(NamedTuple):
    """Rows of a batch that combine questions with scenes: indices [b] of either."""

    question: Tensor
    scene: Tensor


def repeat_rows(tokens: Tensor, rows: int) -> Tensor:
    """Repeats tokens [1, n, width] for each of several rows; one row needs no operator in the exported graph."""
    return tokens if rows == 1 else tokens.expand(rows, -1, -1)


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al., 2017, section 3.2).

    Args:
        width: Channels of the tokens.
        heads: Divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def project(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Returns keys and values [b, heads, m, head_dim] of a context [b, m, width]."""
        return self._split(self.key(context)), self._split(self.value(context))

    def attend(self, tokens: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Lets tokens [b, n, width] look at keys and values; the additive mask broadcasts to [b, heads, n, m]."""
        queries = self._split(self.query(tokens)) * self.head_dim**-0.5
        scores = torch.matmul(queries, keys.transpose(-1, -2))
        if mask is not None:
            scores = scores + mask
        mixed = torch.matmul(torch.softmax(scores, dim=-1), values)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Lets tokens [b, n, width] look at a context [b, m, width]."""
        keys, values = self.project(context)
        return self.attend(tokens, keys, values, mask)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(len(tokens), -1, self.heads, self.head_dim).transpose(1, 2)


class FeedForward(nn.Module):
    """Gated feed-forward layer with GELU, applied to every token (GEGLU; Shazeer, 2020).

    The product of the two branches lets it learn arithmetic on digits in fewer steps than a plain layer.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps [b, n, width] to the same shape."""
        return self.down(nn.functional.gelu(self.gate(tokens)) * self.up(tokens))  # type: ignore[no-any-return]


class EncoderBlock(nn.Module):
    """Pre-norm transformer block: self-attention, then feed-forward."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps [b, n, width] to the same shape."""
        normed = self.attention_norm(tokens)
        tokens = tokens + self.attention(normed, normed, mask)
        return tokens + self.mlp(self.mlp_norm(tokens))  # type: ignore[no-any-return]


class Resampler(nn.Module):
    """Sums an encoder's tokens up in a few: learned queries attend to them, then feed-forward.

    As the resampler of Flamingo (Alayrac et al., 2022, section 3.1), with one layer.

    Args:
        count: Tokens that come out.
        width: Channels of the tokens.
        heads: Divides `width`.
        hidden: Channels inside the feed-forward layer.
    """

    def __init__(self, count: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(1, count, width))
        self.context_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens [b, n, width] to [b, count, width]."""
        queries = repeat_rows(self.queries, len(tokens))
        summary = queries + self.attention(queries, self.context_norm(tokens))
        return self.norm(summary + self.mlp(self.mlp_norm(summary)))  # type: ignore[no-any-return]


class FusionBlock(nn.Module):
    """Pre-norm block in which latent tokens attend to each other, to the question, and to picture and sound."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.question_norm = nn.LayerNorm(width)
        self.question_attention = Attention(width, heads)
        self.scene_norm = nn.LayerNorm(width)
        self.scene_attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden)

    def forward(
        self, latents: Tensor, question: Tensor, mask: Tensor, scene: Tensor, pairing: Pairing | None = None
    ) -> Tensor:
        """Updates the latents.

        Args:
            latents: [b, n, width].
            question: [b, t, width], or [q, t, width] with a pairing.
            mask: Additive, of the question's padding, [b, 1, 1, t], or [q, 1, 1, t] with a pairing.
            scene: Summaries of picture and sound [b, m, width], or [p, m, width] with a pairing.
            pairing: Which question and which scene each of the b rows combines. Questions and scenes are then
                projected once, however many rows they are part of.

        Returns:
            [b, n, width].
        """
        normed = self.attention_norm(latents)
        latents = latents + self.attention(normed, normed)
        keys, values = self.question_attention.project(question)
        if pairing is not None:
            keys, values, mask = keys[pairing.question], values[pairing.question], mask[pairing.question]
        latents = latents + self.question_attention.attend(self.question_norm(latents), keys, values, mask)
        keys, values = self.scene_attention.project(scene)
        if pairing is not None:
            keys, values = keys[pairing.scene], values[pairing.scene]
        latents = latents + self.scene_attention.attend(self.scene_norm(latents), keys, values, None)
        return latents + self.mlp(self.mlp_norm(latents))  # type: ignore[no-any-return]


class DecoderBlock(nn.Module):
    """Pre-norm block: cached self-attention over the answer, cross-attention to the memory, feed-forward."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, hidden)

    def forward(
        self,
        tokens: Tensor,
        past: tuple[Tensor, Tensor],
        mask: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs S answer tokens against a cache of C rows.

        Args:
            tokens: [b, S, width].
            past: Cached keys and values, [b, heads, C, head_dim] each.
            mask: Additive, [b or 1, 1, S, C + S]; columns are the cache, then the new tokens.
            memory: [b, n, width].

        Returns:
            Tokens, and the keys and values of the S new rows.
        """
        normed = self.attention_norm(tokens)
        new_keys, new_values = self.attention.project(normed)
        keys, values = torch.cat([past[0], new_keys], dim=2), torch.cat([past[1], new_values], dim=2)
        tokens = tokens + self.attention.attend(normed, keys, values, mask)
        tokens = tokens + self.cross_attention(self.cross_norm(tokens), memory)
        return tokens + self.mlp(self.mlp_norm(tokens)), (new_keys, new_values)
