"""What the bundled model needs of a tokenizer of words."""

from __future__ import annotations

from typing import Protocol

from exporter.errors import SourceError

PADDING, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"


class Encoded(Protocol):
    """What `WordTokenizer.encode` returns."""

    @property
    def ids(self) -> list[int]:
        """Of the tokens."""
        ...


class WordTokenizer(Protocol):
    """The part of `tokenizers.Tokenizer` that the model needs."""

    def encode(self, sequence: str) -> Encoded:
        """Text to tokens."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, without special tokens."""
        ...

    def token_to_id(self, token: str) -> int | None:
        """Id of one token, if there is one."""
        ...


def token_id(tokenizer: WordTokenizer, token: str) -> int:
    """Returns the id of a token.

    Raises:
        SourceError: The vocabulary lacks it.
    """
    found = tokenizer.token_to_id(token)
    if found is None:
        raise SourceError(
            "The tokenizer lacks a token the model needs.",
            where="tokenizer.json",
            received=f"no {token}",
            remedy="restore the tokenizer.json that belongs to the model",
        )
    return found
