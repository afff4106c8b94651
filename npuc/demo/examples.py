"""One example of the task: a picture of a number, a spoken number, a question on them and its answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.corpus import Corpus
from npuc.demo.digits import SIDE
from npuc.demo.questions import Kind, draw_question, solve
from npuc.demo.speech import SAMPLE_RATE

IMAGE_HEIGHT, IMAGE_WIDTH = 32, 64
_JITTER = IMAGE_HEIGHT - SIDE

MAX_LEAD_SECONDS = 0.1
"""Longest silence before the number is said."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One question with everything it is asked on.

    Attributes:
        image: [32, 64] uint8, white ink on black.
        samples: Mono clip at `speech.SAMPLE_RATE`, in [-1, 1].
        kind: What is asked for.
        question: Its wording.
        answer: The right answer in digits.
        shown: The number in the picture.
        said: The number in the clip.
    """

    image: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.float32]
    kind: Kind
    question: str
    answer: str
    shown: int
    said: int


def place_digits(
    left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Puts two digits [28, 28] side by side on a canvas [32, 64], each moved by up to 4 pixels."""
    canvas = np.zeros((IMAGE_HEIGHT, IMAGE_WIDTH), np.uint8)
    for column, digit in enumerate((left, right)):
        top, start = rng.integers(0, _JITTER + 1, 2)
        start += column * IMAGE_WIDTH // 2
        canvas[top : top + SIDE, start : start + SIDE] = digit
    return canvas


def draw_examples(corpus: Corpus, split: Split, count: int, seed: int) -> list[Example]:
    """Draws examples of a split; clips and kinds are used evenly.

    Args:
        corpus: Digits and clips of the split.
        split: Where the wording of the questions comes from.
        count: How many examples.
        seed: Of every choice.
    """
    rng = np.random.default_rng(seed)
    clips = rng.permutation(np.resize(np.arange(len(corpus.clip_numbers)), count))
    by_digit = [np.flatnonzero(corpus.digit_labels == digit) for digit in range(10)]
    kinds = list(Kind)
    examples = []
    for i, clip in enumerate(clips):
        shown = int(rng.integers(10, 100))
        left, right = (int(rng.choice(by_digit[digit])) for digit in divmod(shown, 10))
        image = place_digits(corpus.digit_images[left], corpus.digit_images[right], rng)
        lead = np.zeros(int(rng.uniform(0, MAX_LEAD_SECONDS) * SAMPLE_RATE), np.float32)
        kind = kinds[i % len(kinds)]
        said = int(corpus.clip_numbers[clip])
        answer = str(solve(kind, shown, said))
        samples = np.concatenate([lead, corpus.clip(int(clip))])
        question = draw_question(kind, split, rng)
        examples.append(Example(image, samples, kind, question, answer, shown, said))
    return examples
