"""Text ↔ tokens: the tokenizer of a model folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from exporter.errors import SourceError
from exporter.model_folder import ModelFolder

# The pattern that Qwen2, Qwen2.5 and Qwen3 split text with before byte-pair encoding (their tokenizer_config.json
# has no field for it).
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TextTokenizer:
    """Encodes prompts and decodes answers.

    Args:
        data: The content of a `tokenizer.json`.

    Raises:
        SourceError: It is not a tokenizer.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(data)
        except Exception as error:  # the library raises a bare Exception
            raise SourceError(
                "tokenizer.json cannot be read",
                received=str(error)[:200],
                remedy="download the folder again",
            ) from error

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; special tokens written out in it are recognised, none are added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def token_id(self, token: str) -> int | None:
        """Id of one token, if the vocabulary has it."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Decodes token by token.

        Yields:
            Pieces that add up to `decode` of all ids. A character whose bytes are not complete is held back.
        """
        seen: list[int] = []
        emitted = ""
        text = ""
        for token in ids:
            seen.append(token)
            text = self.decode(seen)
            if not text.endswith("\N{REPLACEMENT CHARACTER}") and text.startswith(emitted):
                yield text[len(emitted) :]
                emitted = text
        if text != emitted:
            yield text[len(emitted) :]


def read_tokenizer(folder: ModelFolder) -> bytes:
    """The content of a `tokenizer.json`: the folder's own, or one made of `vocab.json` and `merges.txt`.

    Raises:
        SourceError: The folder has neither, or they are damaged.
    """
    if folder.has("tokenizer.json"):
        return folder.read_bytes("tokenizer.json")
    if folder.has("vocab.json") and folder.has("merges.txt"):
        return _from_vocabulary(folder)
    raise SourceError(
        "the folder has no tokenizer",
        where=str(folder.path),
        received="neither tokenizer.json nor vocab.json with merges.txt",
        remedy="download the tokenizer's files too",
    )


def _from_vocabulary(folder: ModelFolder) -> bytes:
    vocabulary = folder.read_json("vocab.json")
    lines = folder.read_bytes("merges.txt").decode("utf-8", errors="replace").splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#version")]
    merges = [(left, right) for left, _, right in pairs]
    try:
        tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:  # the library raises bare exceptions
        raise SourceError(
            "vocab.json and merges.txt do not make a tokenizer",
            where=str(folder.path),
            received=str(error)[:200],
        ) from error
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(list(_added_tokens(folder)))
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False).encode()


def _added_tokens(folder: ModelFolder) -> Iterator[tokenizers.AddedToken]:
    """The special tokens of tokenizer_config.json, in the order of their ids."""
    if not folder.has("tokenizer_config.json"):
        return
    added = folder.read_json("tokenizer_config.json").get("added_tokens_decoder", {})
    entries: Mapping[str, Any] = added if isinstance(added, dict) else {}
    for _, entry in sorted(entries.items(), key=lambda item: int(item[0]) if item[0].isdigit() else -1):
        if isinstance(entry, dict) and isinstance(entry.get("content"), str):
            yield tokenizers.AddedToken(
                entry["content"], special=bool(entry.get("special")), normalized=bool(entry.get("normalized"))
            )
