"""Text ↔ tokens: the tokenizer of a model folder, in a child process with limits on memory and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import SandboxProcess, call_once

MAX_TOKENIZER_BYTES = 64 << 20
"""A tokenizer.json of a 250k vocabulary is about 20 MB."""

_CALLS = "exporter.preprocessing.tokenizer_calls"
_SECONDS = 10
"""Of one call; a prompt takes milliseconds."""
_GROWTH = 32
"""Memory of a tokenizer, in sizes of its file: measured 11 for a byte-pair encoding of 150k tokens."""


class TextTokenizer:
    """Encodes prompts and decodes answers.

    Args:
        data: The content of a `tokenizer.json`.

    Raises:
        SourceError: It is not a tokenizer; as does every method where the tokenizer fails, or takes too long or too
            much memory.
    """

    def __init__(self, data: bytes) -> None:
        what = "the tokenizer's work"
        self._process = SandboxProcess(_limits(len(data)), what=what, where="tokenizer.json")
        self._size: int = self._process.call(f"{_CALLS}:load", data)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included."""
        return self._size

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text; special tokens written out in it are recognised.

        Args:
            text: Any; half of a surrogate pair in it becomes a question mark.
            special: Whether the tokens are added that the tokenizer puts around each text.
        """
        ids: list[int] = self._process.call(
            f"{_CALLS}:encode", text.encode("utf-8", "replace"), special=special
        )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without special tokens."""
        text: bytes = self._process.call(f"{_CALLS}:decode", ids=[int(token) for token in ids])
        return text.decode()

    def token_id(self, token: str) -> int | None:
        """Id of one token, if the vocabulary has it."""
        found: int | None = self._process.call(f"{_CALLS}:token_id", token.encode())
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
        return folder.read_bytes("tokenizer.json", MAX_TOKENIZER_BYTES)
    if folder.has("vocab.json") and folder.has("merges.txt"):
        return _from_vocabulary(folder)
    raise SourceError(
        "the folder has no tokenizer",
        where=str(folder.path),
        received="neither tokenizer.json nor vocab.json with merges.txt",
        remedy="download the tokenizer's files too",
    )


def _from_vocabulary(folder: ModelFolder) -> bytes:
    folder.read_json("vocab.json")
    vocabulary = folder.read_bytes("vocab.json")
    lines = folder.read_bytes("merges.txt").decode("utf-8", errors="replace").splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#version")]
    made: bytes = call_once(
        f"{_CALLS}:from_vocabulary",
        vocabulary,
        limits=_limits(len(vocabulary)),
        what="making a tokenizer",
        where=str(folder.path / "vocab.json"),
        merges=[(left, right) for left, _, right in pairs],
        added=list(_added_tokens(folder)),
    )
    return made


def _added_tokens(folder: ModelFolder) -> Iterator[tuple[str, bool, bool]]:
    """The special tokens of tokenizer_config.json, in the order of their ids."""
    if not folder.has("tokenizer_config.json"):
        return
    added = folder.read_json("tokenizer_config.json").get("added_tokens_decoder", {})
    entries: Mapping[str, Any] = added if isinstance(added, dict) else {}
    for _, entry in sorted(entries.items(), key=lambda item: _number(item[0])):
        if isinstance(entry, dict) and isinstance(entry.get("content"), str):
            yield entry["content"], bool(entry.get("special")), bool(entry.get("normalized"))


def _number(token: str) -> int:
    return int(token) if token.isdecimal() and len(token) < 10 else -1


def _limits(size: int) -> Limits:
    return Limits(memory=(1 << 30) + _GROWTH * size, seconds=_SECONDS, wall_seconds=10.0 * _SECONDS)
