"""What runs in the child process of a tokenizer; `text.TextTokenizer` is its other side.

The library is native code that follows a stranger's file: it may loop, multiply its text, or abort the process.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from exporter.errors import SourceError

MAX_TOKENS = 1 << 20
"""Of one text."""

# The pattern that Qwen2, Qwen2.5 and Qwen3 split text with before byte-pair encoding (their tokenizer_config.json
# has no field for it).
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_loaded: list[tokenizers.Tokenizer] = []


def load(data: bytes) -> int:
    """Keeps a tokenizer for the calls that follow.

    Args:
        data: The content of a `tokenizer.json`.

    Returns:
        Number of tokens, special ones included.

    Raises:
        SourceError: It is not a tokenizer.
    """
    try:
        _loaded[:] = [tokenizers.Tokenizer.from_buffer(data)]
    except Exception as error:  # the library raises a bare Exception
        raise SourceError(
            "tokenizer.json cannot be read", received=str(error)[:200], remedy="download the folder again"
        ) from error
    return int(_loaded[0].get_vocab_size(with_added_tokens=True))


def encode(text: bytes, special: bool) -> list[int]:
    """Token ids of a text.

    Args:
        text: UTF-8.
        special: Whether the tokens are added that the tokenizer puts around each text.

    Raises:
        SourceError: There are more than `MAX_TOKENS`.
    """
    ids = list(_loaded[0].encode(text.decode(), add_special_tokens=special).ids)
    if len(ids) > MAX_TOKENS:
        raise SourceError(
            f"the tokenizer makes more than {MAX_TOKENS} tokens of a text",
            received=f"{len(ids)} tokens of {len(text)} bytes",
        )
    return ids


def highest_id(_content: bytes) -> int:
    """The highest id that the tokenizer gives to any token; -1 for an empty vocabulary."""
    return max(_loaded[0].get_vocab(with_added_tokens=True).values(), default=-1)


def decode(_content: bytes, ids: Sequence[int]) -> bytes:
    """Text of token ids, without special tokens; UTF-8."""
    text: str = _loaded[0].decode(list(ids), skip_special_tokens=True)
    return text.encode()


def token_id(token: bytes) -> int | None:
    """Id of one token, if the vocabulary has it."""
    found: int | None = _loaded[0].token_to_id(token.decode())
    return found


def from_vocabulary(
    vocabulary: bytes, merges: Sequence[tuple[str, str]], added: Sequence[tuple[str, bool, bool]]
) -> bytes:
    """Makes a `tokenizer.json` as Qwen's are.

    Args:
        vocabulary: JSON: token → id.
        merges: Pairs of tokens, in their order.
        added: Text of a token, whether it is special, and whether it is looked for in normalised text.

    Raises:
        SourceError: They do not go together.
    """
    pairs = [(left, right) for left, right in merges]
    try:
        tokenizer = tokenizers.Tokenizer(models.BPE(vocab=json.loads(vocabulary), merges=pairs))
    except Exception as error:  # the library raises bare exceptions
        raise SourceError(
            "vocab.json and merges.txt do not make a tokenizer", received=str(error)[:200]
        ) from error
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(
        [
            tokenizers.AddedToken(text, special=special, normalized=normalized)
            for text, special, normalized in added
        ]
    )
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False).encode()
