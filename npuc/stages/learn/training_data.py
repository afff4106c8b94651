"""The user's training data: requests to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.manifest import Manifest
from passes.learning.training.data.read_example import read_example
from passes.learning.training.data.sample import Example
from passes.learning.training.errors import TrainingError
from program.program import Program, Request, Role


def manifest_requests(
    program: Program, data: str, count: int, seed: int, augmenter: Augmenter | None = None
) -> list[Request]:
    """Returns a seeded choice of a manifest's entries, in their order.

    With augmentation, entries are repeated up to `count`: the first time as they are, then changed.

    Args:
        program: Decides what an entry may hold.
        data: Path of the manifest.
        count: How many at most.
        seed: Of the choice and of augmentation.
        augmenter: Changes repeated entries; None: each comes once.

    Raises:
        TrainingError: The manifest is not usable, or has what the program does not take.
    """
    manifest = Manifest(Path(data).expanduser())
    order = np.random.default_rng(seed).permutation(len(manifest))
    chosen = sorted(int(index) for index in order[:count])
    requests = []
    for number in range(count if augmenter is not None else len(chosen)):
        index = chosen[number % len(chosen)]
        example = read_example(manifest[index])
        if augmenter is not None and number >= len(chosen):
            example = augmenter(example, 0, np.random.default_rng([seed, number]))
        requests.append(_request(example, program, f"{data}, entry {index + 1}"))
    return requests


def _request(example: Example, program: Program, where: str) -> Request:
    roles = {component.role for component in program.components.values()}
    known = {
        "image": roles & {Role.VISION_ENCODER},
        "audio": roles & {Role.AUDIO_ENCODER},
        "text": roles & {Role.TEXT_ENCODER, Role.EMBEDDING},
    }
    foreign = [name for name in example.modalities if not known[name]]
    if foreign:
        raise TrainingError(
            "the model does not take what the training data holds",
            where=where,
            received=", ".join(foreign),
            remedy=f"leave it out; the model takes {', '.join(name for name in known if known[name]) or 'tensors'}",
        )
    return Request(
        example.text or "", example.image, example.samples, example.sample_rate, answer=example.answer
    )
