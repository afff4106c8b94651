"""The tokenizer of a folder of the bundled model: a stranger's, perhaps, so that it runs in a child process."""

from __future__ import annotations

import dataclasses

from exporter.preprocessing.text import TextTokenizer


@dataclasses.dataclass(frozen=True)
class EncodedText:
    """Tokens of a text."""

    ids: list[int]


class FolderTokenizer:
    """A `word_tokenizer.WordTokenizer`.

    Args:
        data: The content of `tokenizer.json`.

    Raises:
        SourceError: It is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._tokenizer = TextTokenizer(data)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included."""
        return self._tokenizer.vocabulary_size

    def encode(self, sequence: str) -> EncodedText:
        """Text to tokens."""
        return EncodedText(self._tokenizer.encode(sequence, special=True))

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, without special tokens."""
        return self._tokenizer.decode(ids)

    def token_to_id(self, token: str) -> int | None:
        """Id of one token, if there is one."""
        return self._tokenizer.token_id(token)
