"""Words replaced by WordNet synonyms."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")

FUNCTION_WORDS = frozenset({
    "a", "about", "above", "after", "all", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "below", "between", "both", "but", "by", "can", "could", "did", "do",
    "does", "doing", "down", "during", "each", "few", "for", "from", "had", "has", "have", "having",
    "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "just", "me", "more", "most", "must", "my", "no", "nor", "not", "now", "of", "off", "on", "once",
    "one", "only", "or", "other", "our", "out", "over", "own", "she", "should", "so", "some", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "through", "to", "too", "two", "under", "until", "up", "very", "was", "we", "were", "what", "when",
    "where", "which", "while", "who", "whom", "why", "will", "with", "would", "you", "your",
})  # fmt: skip
"""Words that carry grammar rather than meaning; WordNet lists some of them as nouns (`in` the inch, `a` the letter)."""


@dataclasses.dataclass(frozen=True)
class ReplaceSynonyms:
    """Replaces words by synonyms of their most frequent sense (Zhang et al., arXiv 1509.01626, section 2.4).

    Only words in their base form are known, so that no inflection has to be made; senses are not told apart.

    Attributes:
        synonyms: Word → its synonyms, such as `WordNet().synonyms`.
        share: Probability that a word with synonyms is replaced, at full strength.
        protected: Words, in small letters, that stay: those an answer depends on.
    """

    synonyms: Callable[[str], Sequence[str]]
    share: float = 0.3
    protected: frozenset[str] = frozenset()

    def __call__(self, value: str, strength: float, rng: np.random.Generator) -> str:
        """Returns a text with the same punctuation and capitals."""

        def replace(match: re.Match[str]) -> str:
            word = match.group()
            if word.lower() in FUNCTION_WORDS or word.lower() in self.protected:
                return word
            chosen, place = rng.random() < strength * self.share, rng.random()
            found = self.synonyms(word) if chosen else ()
            return _with_case(found[int(place * len(found))], word) if found else word

        return _WORD.sub(replace, value)


def _with_case(word: str, pattern: str) -> str:
    if pattern.isupper() and len(pattern) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if pattern[0].isupper() else word
