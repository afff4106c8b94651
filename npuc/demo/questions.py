"""Questions on the number shown and the number said, in many wordings.

A question is a sentence pattern with noun phrases filled in. Patterns and noun phrases of the three splits are
disjoint, so that a test question never occurs in training, neither as a whole nor by its pattern.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import numpy as np

from exporter.families.multimodal_transformer.splits import Split


class Kind(enum.StrEnum):
    """What is asked for."""

    SHOWN = "shown"
    SAID = "said"
    SUM = "sum"
    DIFFERENCE = "difference"
    LARGER = "larger"
    SMALLER = "smaller"


def solve(kind: Kind, shown: int, said: int) -> int:
    """Returns the right answer; a difference is never negative."""
    match kind:
        case Kind.SHOWN:
            return shown
        case Kind.SAID:
            return said
        case Kind.SUM:
            return shown + said
        case Kind.DIFFERENCE:
            return abs(shown - said)
        case Kind.LARGER:
            return max(shown, said)
        case Kind.SMALLER:
            return min(shown, said)


MAX_WORDS = 14
"""Words of the longest question; with two signs it fits the model's 16 text tokens."""


def draw_question(kind: Kind, split: Split, rng: np.random.Generator) -> str:
    """Draws one wording of a kind from the split's own patterns and noun phrases, at most `MAX_WORDS` long."""
    question = _fill_pattern(kind, split, rng)
    while len(question.split()) > MAX_WORDS:
        question = _fill_pattern(kind, split, rng)
    return question


def _fill_pattern(kind: Kind, split: Split, rng: np.random.Generator) -> str:
    fillers = {name: _pick(phrases[split], rng) for name, phrases in _NOUN_PHRASES.items()}
    both = _pick(_BOTH[split], rng).format(**fillers)
    return _pick(_PATTERNS[kind][split], rng).format(both=both, **fillers)


def _pick(wordings: tuple[str, ...], rng: np.random.Generator) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def drop_words(question: str, probability: float, rng: np.random.Generator) -> str:
    """Leaves out each word with the given probability, so that no single word decides alone."""
    words = question.split()
    kept = [word for word, draw in zip(words, rng.random(len(words)), strict=True) if draw >= probability]
    return " ".join(kept or words)


def all_wordings(split: Split) -> list[str]:
    """Returns every pattern and noun phrase of a split, with slots left as they are."""
    groups = [_BOTH, *_NOUN_PHRASES.values(), *_PATTERNS.values()]
    return [wording for group in groups for wording in group[split]]


_Wordings = Mapping[Split, tuple[str, ...]]

_NOUN_PHRASES: Mapping[str, _Wordings] = {
    "shown": {
        Split.TRAIN: (
            "the number shown",
            "the number in the picture",
            "the number in the image",
            "the written number",
            "the number you see",
            "the digits in the picture",
            "the handwritten digits",
            "the number that is written",
            "the picture",
            "the number on the photo",
            "the visible number",
            "the number drawn here",
            "what is shown in the image",
            "what you see",
        ),
        Split.CALIBRATION: ("the digits shown", "the number in the photo", "the drawn number"),
        Split.TEST: ("the handwritten number", "the digits you see", "the number shown in the picture"),
    },
    "said": {
        Split.TRAIN: (
            "the number said",
            "the spoken number",
            "the number you hear",
            "the number in the recording",
            "the number in the audio",
            "the number that is spoken",
            "the sound",
            "the number the voice says",
            "what the speaker says",
            "the number read aloud",
            "what you hear",
            "the number in the speech",
            "what is said in the recording",
        ),
        Split.CALIBRATION: ("the number that is said", "the number in the sound", "what the voice says"),
        Split.TEST: ("the number the speaker says", "the number spoken", "what is said in the audio"),
    },
}

_BOTH: _Wordings = {
    Split.TRAIN: (
        "the two numbers",
        "both numbers",
        "the numbers",
        "{shown} and {said}",
        "{said} and {shown}",
        "the two",
        "both of them",
    ),
    Split.CALIBRATION: ("these numbers", "both {shown} and {said}"),
    Split.TEST: ("these two numbers", "both {said} and {shown}"),
}

_PATTERNS: Mapping[Kind, _Wordings] = {
    Kind.SHOWN: {
        Split.TRAIN: (
            "what is {shown}?",
            "which number is shown?",
            "what number is written?",
            "read {shown}",
            "tell me {shown}",
            "what number do you see?",
            "which number is in the picture?",
            "what does the image show?",
            "name {shown}",
            "can you read {shown}?",
            "please read the number in the image",
            "what digits are in the photo?",
            "look at the picture, what is the number?",
            "ignore the sound, what is {shown}?",
            "which digits do you see here?",
            "give me {shown}",
            "what is written in the picture?",
            "only look, do not listen: which number is it?",
            "please read {shown}",
            "look at the picture and tell me {shown}",
            "look and read {shown}",
            "please tell me the digits in the image",
        ),
        Split.CALIBRATION: (
            "which digits are shown?",
            "please tell me {shown}",
            "what can you see in the image?",
        ),
        Split.TEST: (
            "what number is shown?",
            "which number do you see in the photo?",
            "please name {shown}",
            "what does the picture show?",
            "look at the image and read {shown}",
        ),
    },
    Kind.SAID: {
        Split.TRAIN: (
            "what is {said}?",
            "which number is said?",
            "what number is spoken?",
            "repeat {said}",
            "tell me {said}",
            "what number do you hear?",
            "which number is in the recording?",
            "what does the voice say?",
            "name {said}",
            "can you repeat {said}?",
            "please repeat the number in the audio",
            "what number is in the sound?",
            "listen to the recording, what is the number?",
            "ignore the picture, what is {said}?",
            "which number do you hear here?",
            "give me {said}",
            "what is spoken in the recording?",
            "only listen, do not look: which number is it?",
            "please repeat {said}",
            "listen to the sound and tell me {said}",
            "listen and repeat {said}",
            "please tell me the number in the audio",
        ),
        Split.CALIBRATION: (
            "which number is read aloud?",
            "please tell me {said}",
            "what can you hear in the audio?",
        ),
        Split.TEST: (
            "what number is said?",
            "which number do you hear in the recording?",
            "please name {said}",
            "what does the speaker say?",
            "listen to the audio and repeat {said}",
        ),
    },
    Kind.SUM: {
        Split.TRAIN: (
            "what is the sum of {both}?",
            "add {both}",
            "add {shown} to {said}",
            "add {said} to {shown}",
            "what is {shown} plus {said}?",
            "{said} plus {shown}",
            "how much is {both} together?",
            "what is the total of {both}?",
            "give me the sum",
            "what do {both} add up to?",
            "tell me the total",
            "please add {both} together",
            "calculate the sum of {both}",
            "what do you get when you add {both}?",
            "sum of {both}",
            "sum up {both}",
            "how much do you get in total?",
            "what is the sum when you add {both}?",
        ),
        Split.CALIBRATION: ("please calculate the total of {both}", "how much is the sum?", "add up {both}"),
        Split.TEST: (
            "what is the sum?",
            "can you add {both}?",
            "tell me how much {shown} plus {said} is",
            "what total do you get for {both}?",
            "please give me the sum of {both}",
        ),
    },
    Kind.DIFFERENCE: {
        Split.TRAIN: (
            "what is the difference between {both}?",
            "how far apart are {both}?",
            "difference of {both}",
            "subtract the smaller number from the larger",
            "subtract the smaller of {both} from the larger",
            "tell me the difference",
            "calculate the difference between {both}",
            "by how much do {both} differ?",
            "what is the gap between {both}?",
            "how much larger is the larger number than the smaller?",
            "what remains when you subtract the smaller from the larger?",
            "please subtract {both}",
            "give me the difference of {both}",
            "how big is the gap?",
            "how much do {both} differ?",
            "what is the distance between {both}?",
            "the larger minus the smaller",
            "how far apart is {shown} from {said}?",
        ),
        Split.CALIBRATION: ("how big is the difference of {both}?", "what is the gap?", "subtract {both}"),
        Split.TEST: (
            "what is the difference?",
            "please calculate the difference of {both}",
            "tell me how far apart {both} are",
            "by how much does {shown} differ from {said}?",
            "how big is the gap between {both}?",
        ),
    },
    Kind.LARGER: {
        Split.TRAIN: (
            "which is larger, {shown} or {said}?",
            "which number is bigger?",
            "what is the larger of {both}?",
            "which of {both} is greater?",
            "tell me the larger number",
            "name the bigger one",
            "what is the maximum of {both}?",
            "the greater of {both}",
            "which one is higher?",
            "give me the highest number",
            "what is the largest number?",
            "is {shown} or {said} larger?",
            "is {said} or {shown} greater?",
            "pick the bigger of {both}",
            "maximum of {both}",
            "which is the higher of {both}?",
            "please name the larger of {both}",
            "what is the biggest number here?",
        ),
        Split.CALIBRATION: (
            "pick the greater number",
            "which is the largest of {both}?",
            "what is the maximum?",
        ),
        Split.TEST: (
            "which is larger?",
            "tell me which of {both} is bigger",
            "please give me the greater one",
            "what is the higher of {both}?",
            "is {shown} bigger or {said}?",
        ),
    },
    Kind.SMALLER: {
        Split.TRAIN: (
            "which is smaller, {shown} or {said}?",
            "which number is lower?",
            "what is the smaller of {both}?",
            "which of {both} is less?",
            "tell me the smaller number",
            "name the lower one",
            "what is the minimum of {both}?",
            "the lesser of {both}",
            "which one is lower?",
            "give me the lowest number",
            "what is the smallest number?",
            "is {shown} or {said} smaller?",
            "is {said} or {shown} less?",
            "pick the smaller of {both}",
            "minimum of {both}",
            "which is the lower of {both}?",
            "please name the smaller of {both}",
            "what is the smallest number here?",
        ),
        Split.CALIBRATION: (
            "pick the lesser number",
            "which is the smallest of {both}?",
            "what is the minimum?",
        ),
        Split.TEST: (
            "which is smaller?",
            "tell me which of {both} is lower",
            "please give me the smaller one",
            "what is the lower of {both}?",
            "is {shown} smaller or {said}?",
        ),
    },
}
