"""News text to learn from and to measure on, and the two figures of a language model."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional

LEARN, MEASURE = "lee_background.cor", "lee.cor"
"""300 and 50 documents; no document is in both."""

Logits = Callable[[torch.Tensor], torch.Tensor]
"""[B, S] int64 → [B, S, vocabulary]."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Token ids [B, S], and which positions are tokens of a text rather than padding."""

    ids: torch.Tensor
    real: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Score:
    """Perplexity and next-token accuracy over all real positions but the first of each text."""

    perplexity: float
    accuracy: float
    tokens: int


def documents(name: str) -> list[str]:
    """Returns the texts of a corpus file, a line each.

    Raises:
        SystemExit: gensim is not installed.
    """
    package = importlib.util.find_spec("gensim")
    if package is None or package.origin is None:
        raise SystemExit("missing package: pip install --no-deps gensim==4.4.0")
    path = Path(package.origin).with_name("test") / "test_data" / name
    return [line.strip() for line in path.read_text("latin-1").splitlines() if line.strip()]


def batches(tokenizer: Tokenizer, texts: list[str], size: int, length: int) -> Iterator[Batch]:
    """Yields batches of `size` texts cut or padded to `length` tokens; the last one is filled with padding."""
    rows = [tokenizer.encode(text).ids[:length] for text in texts]
    for start in range(0, len(rows), size):
        ids = torch.zeros(size, length, dtype=torch.int64)
        real = torch.zeros(size, length, dtype=torch.bool)
        for index, row in enumerate(rows[start : start + size]):
            ids[index, : len(row)] = torch.tensor(row)
            real[index, : len(row)] = True
        yield Batch(ids, real)


def next_token_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum of the cross-entropies of the next token, natural logarithm."""
    wanted = batch.real[:, 1:]
    return functional.cross_entropy(logits[:, :-1][wanted], batch.ids[:, 1:][wanted], reduction="sum")


def score(model: Logits, data: list[Batch]) -> Score:
    """Measures a model on batches of text."""
    loss, right, tokens = 0.0, 0, 0
    for batch in data:
        with torch.no_grad():
            logits = model(batch.ids)
        wanted = batch.real[:, 1:]
        loss += float(next_token_loss(logits, batch))
        right += int((logits[:, :-1].argmax(-1) == batch.ids[:, 1:])[wanted].sum())
        tokens += int(wanted.sum())
    return Score(math.exp(loss / tokens), right / tokens, tokens)
