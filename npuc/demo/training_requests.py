"""Requests from the part of the training split that is shipped with the model, for passes that train whole programs."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from exporter.families.multimodal_transformer.preprocessor import REFERENCE_LOG_MEL
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from npuc.demo.augmentation import vary_clip, warp_digit
from npuc.demo.examples import Example, draw_examples
from npuc.demo.questions import Kind, draw_question, solve
from npuc.demo.speech import SAMPLE_RATE
from npuc.demo.transfer import load_transfer
from program.program import Request


def training_requests(folder: ModelFolder, count: int, seed: int, questions: int = 1) -> tuple[Request, ...]:
    """Draws requests with pictures of warped digits, varied sounds and the training wordings.

    Args:
        folder: Model folder with the examples.
        count: How many to draw.
        seed: Of every choice.
        questions: Asked, one after the other, on each pair of a picture and a sound, of as many kinds.

    Raises:
        SourceError: The examples are missing or damaged.
    """
    rng = np.random.default_rng(seed)
    corpus = load_transfer(folder)
    warped = np.stack([warp_digit(digit, rng) for digit in corpus.digit_images])
    examples = draw_examples(
        dataclasses.replace(corpus, digit_images=warped),
        Split.TRAIN,
        -(-count // questions),
        int(rng.integers(1 << 31)),
    )
    requests = [request for example in examples for request in _ask(example, questions, rng)]
    return tuple(requests[:count])


def _ask(example: Example, questions: int, rng: np.random.Generator) -> list[Request]:
    """Asks the example's own question, then others."""
    first = Request(
        prompt=example.question,
        image=Image.fromarray(example.image),
        audio=vary_clip(example.samples, rng)[: REFERENCE_LOG_MEL.max_samples],
        sample_rate=SAMPLE_RATE,
        answer=example.answer,
    )
    kinds = list(Kind)
    own = kinds.index(example.kind)
    others = [kinds[(own + step) % len(kinds)] for step in range(1, questions)]
    return [
        first,
        *(
            dataclasses.replace(
                first,
                prompt=draw_question(kind, Split.TRAIN, rng),
                answer=str(solve(kind, example.shown, example.said)),
            )
            for kind in others
        ),
    ]
