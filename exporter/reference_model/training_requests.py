"""Requests from the part of the training split that is shipped with the model, for passes that train whole programs."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from exporter.model_folder import ModelFolder
from exporter.program import Request
from exporter.reference_model.augmentation import vary_clip, warp_digit
from exporter.reference_model.examples import draw_examples
from exporter.reference_model.preprocessor import REFERENCE_LOG_MEL
from exporter.reference_model.speech import SAMPLE_RATE
from exporter.reference_model.splits import Split
from exporter.reference_model.transfer import load_transfer


def training_requests(folder: ModelFolder, count: int, seed: int) -> tuple[Request, ...]:
    """Draws requests with pictures of warped digits, varied sounds and the training wordings.

    Args:
        folder: Model folder with the examples.
        count: How many to draw.
        seed: Of every choice.

    Raises:
        SourceError: The examples are missing or damaged.
    """
    rng = np.random.default_rng(seed)
    corpus = load_transfer(folder)
    warped = np.stack([warp_digit(digit, rng) for digit in corpus.digit_images])
    examples = draw_examples(
        dataclasses.replace(corpus, digit_images=warped), Split.TRAIN, count, int(rng.integers(1 << 31))
    )
    return tuple(
        Request(
            prompt=example.question,
            image=Image.fromarray(example.image),
            audio=vary_clip(example.samples, rng)[: REFERENCE_LOG_MEL.max_samples],
            sample_rate=SAMPLE_RATE,
            answer=example.answer,
        )
        for example in examples
    )
