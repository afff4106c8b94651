"""Builds the bundled model's tokenizer: question words and single digits."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

from exporter.families.multimodal_transformer.splits import Split
from exporter.families.multimodal_transformer.word_tokenizer import END, PADDING, START, UNKNOWN
from npuc.demo.questions import all_wordings

VOCABULARY_MULTIPLE = 16
"""The vocabulary is filled up with unused entries to a multiple of this, as the matmul hardware likes it."""


def build_tokenizer() -> Tokenizer:
    """Builds the tokenizer from the training questions; words that only other splits use stay unknown.

    Words are lower-cased, punctuation is a word of its own, and numbers fall into digits, so that the answer 105 is
    the tokens 1, 0, 5.
    """
    words = _words_of(all_wordings(Split.TRAIN))
    entries = [PADDING, UNKNOWN, START, END, *"0123456789", *words]
    entries += [f"<unused{i}>" for i in range(-len(entries) % VOCABULARY_MULTIPLE)]
    tokenizer = Tokenizer(WordLevel({entry: i for i, entry in enumerate(entries)}, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(), _pre_tokenizer()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([PADDING, UNKNOWN, START, END])
    return tokenizer


def _normalizer() -> normalizers.Normalizer:
    # the slots of a pattern ({shown}) are no words
    slots = normalizers.Replace(Regex(r"\{\w+\}"), " ")
    return normalizers.Sequence([slots, normalizers.NFKC(), normalizers.Lowercase()])


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )


def _words_of(wordings: list[str]) -> list[str]:
    normalizer, splitter = _normalizer(), _pre_tokenizer()
    pieces = (splitter.pre_tokenize_str(normalizer.normalize_str(wording)) for wording in wordings)
    return sorted({word for piece in pieces for word, _ in piece if not word.isdigit()})
