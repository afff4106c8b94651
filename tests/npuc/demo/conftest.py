import numpy as np
import pytest

from npuc.demo.corpus import Corpus


def draw_corpus(seed=0):
    """Digits that are bars at ten places, numbers that are tones of a hundred pitches."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10), 4)
    images = rng.integers(0, 40, (len(labels), 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 + 2 * label : 5 + 2 * label] = 255
    numbers = np.arange(100)
    time = np.arange(1600) / 8000
    clips = [np.sin(2 * np.pi * (200 + 30 * number) * time) * 0.5 for number in numbers]
    return Corpus(
        digit_images=images,
        digit_labels=labels.astype(np.int64),
        clips=(np.concatenate(clips) * 32767).astype(np.int16),
        clip_offsets=np.arange(101, dtype=np.int64) * 1600,
        clip_numbers=numbers.astype(np.int64),
    )


@pytest.fixture(scope="session")
def corpus():
    return draw_corpus()
