"""Endless training batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from exporter.families.multimodal_transformer.preprocessor import Float32, Int64, Preprocessor
from exporter.families.multimodal_transformer.splits import Split
from exporter.families.multimodal_transformer.word_tokenizer import END, START, WordTokenizer, token_id
from npuc.demo.augmentation import mask_spectrogram, vary_clip, warp_digit
from npuc.demo.corpus import Corpus
from npuc.demo.examples import place_digits
from npuc.demo.questions import Kind, draw_question, drop_words, solve

IGNORED = -100
"""Target of padding; `torch.nn.functional.cross_entropy` leaves it out by default."""

ANSWER_LENGTH = 4
"""Tokens of the longest answer: three digits and the end."""

_WORD_DROPOUT = 0.08

_KINDS = tuple(Kind)
"""Of the questions in a batch."""

_LARGEST_ANSWER = 99 + 99


@dataclasses.dataclass(frozen=True)
class Batch:
    """P pairs of a picture and a sound, Q questions, and the answers of every question on every pair, R = P Q.

    Attributes:
        pixels: [P, 1, height, width].
        mel: [P, mel_bins, frames].
        shown: [P], number shown.
        said: [P], number said.
        question_ids: [Q, text_length].
        question_masks: [Q, 1, 1, text_length].
        pair: [R], which pair an answer is about.
        question: [R], which question it answers.
        inputs: [R, ANSWER_LENGTH], start token and answer.
        targets: [R, ANSWER_LENGTH], answer and end token, then `IGNORED`.
    """

    pixels: Float32
    mel: Float32
    shown: Int64
    said: Int64
    question_ids: Int64
    question_masks: Float32
    pair: Int64
    question: Int64
    inputs: Int64
    targets: Int64


class BatchSource:
    """Draws batches from augmented variants of a corpus that are computed once.

    Args:
        corpus: Digits and clips to train on.
        preprocessor: Makes pixels and spectrograms.
        tokenizer: Makes token ids.
        pairs: Picture and sound pairs in a batch.
        variants: Augmented variants of each digit and clip; the first is the original.
        seed: Of everything drawn.
    """

    def __init__(
        self,
        corpus: Corpus,
        preprocessor: Preprocessor,
        tokenizer: WordTokenizer,
        *,
        pairs: int,
        variants: int,
        seed: int,
    ) -> None:
        self._preprocessor = preprocessor
        self._tokenizer = tokenizer
        self._pairs = pairs
        self._rng = np.random.default_rng(seed)
        self._digits = self._augment_digits(corpus, variants)
        self._mel = self._augment_clips(corpus, variants)
        self._said = np.tile(corpus.clip_numbers, variants)
        encoded = [encode_answer(tokenizer, str(answer)) for answer in range(_LARGEST_ANSWER + 1)]
        self._answer_inputs = np.stack([inputs for inputs, _ in encoded])
        self._answer_targets = np.stack([targets for _, targets in encoded])
        self._by_digit = [
            np.flatnonzero(np.tile(corpus.digit_labels, variants) == digit) for digit in range(10)
        ]

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self.draw(self._rng)

    def _augment_digits(self, corpus: Corpus, variants: int) -> npt.NDArray[np.uint8]:
        warped = [warp_digit(digit, self._rng) for _ in range(variants - 1) for digit in corpus.digit_images]
        return np.stack([*corpus.digit_images, *warped])

    def _augment_clips(self, corpus: Corpus, variants: int) -> Float32:
        clips = [corpus.clip(i) for i in range(len(corpus.clip_numbers))]
        clips += [vary_clip(clip, self._rng) for _ in range(variants - 1) for clip in clips]
        log_mel = self._preprocessor.audio
        return np.stack([log_mel(clip, log_mel.sample_rate) for clip in clips])

    def draw(self, rng: np.random.Generator) -> Batch:
        """Draws one batch; equal generators give equal batches."""
        clips = rng.integers(0, len(self._said), self._pairs)
        shown = rng.integers(10, 100, self._pairs)
        mel = self._mel[clips]
        mask_spectrogram(mel, rng)
        said = self._said[clips]
        pixels = np.stack([self._draw_pixels(int(number), rng) for number in shown])
        pair, question = np.divmod(np.arange(self._pairs * len(_KINDS)), len(_KINDS))
        return Batch(
            pixels, mel, shown, said, *self._draw_questions(rng), pair, question, *self._answer(shown, said)
        )

    def _draw_pixels(self, number: int, rng: np.random.Generator) -> Float32:
        left, right = (self._draw_digit(digit, rng) for digit in divmod(number, 10))
        settings = self._preprocessor.image
        canvas = place_digits(left, right, rng).astype(np.float32) / 255
        return ((canvas - settings.mean) / settings.std)[None].astype(np.float32)

    def _draw_digit(self, digit: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        candidates = self._by_digit[digit]
        chosen: npt.NDArray[np.uint8] = self._digits[candidates[int(rng.integers(len(candidates)))]]
        return chosen

    def _draw_questions(self, rng: np.random.Generator) -> tuple[Int64, Float32]:
        questions = [drop_words(draw_question(kind, Split.TRAIN, rng), _WORD_DROPOUT, rng) for kind in _KINDS]
        prepared = [self._preprocessor.question(self._tokenizer, question) for question in questions]
        return np.stack([ids for ids, _ in prepared]), np.stack([mask for _, mask in prepared])

    def _answer(self, shown: Int64, said: Int64) -> tuple[Int64, Int64]:
        """Inputs and targets of every question on every pair, pair by pair."""
        pairs = zip(shown.tolist(), said.tolist(), strict=True)
        answers = [solve(kind, *pair) for pair in pairs for kind in _KINDS]
        return self._answer_inputs[answers], self._answer_targets[answers]


def encode_answer(tokenizer: WordTokenizer, answer: str) -> tuple[Int64, Int64]:
    """Returns decoder inputs and targets of an answer, [ANSWER_LENGTH] each."""
    digits = tokenizer.encode(answer).ids
    inputs = np.full(ANSWER_LENGTH, token_id(tokenizer, END), np.int64)
    targets = np.full(ANSWER_LENGTH, IGNORED, np.int64)
    inputs[: len(digits) + 1] = [token_id(tokenizer, START), *digits]
    targets[: len(digits) + 1] = [*digits, token_id(tokenizer, END)]
    return inputs, targets
