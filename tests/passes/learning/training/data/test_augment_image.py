import numpy as np
import pytest
from PIL import Image

from passes.learning.training.data.color_jitter import ColorJitter
from passes.learning.training.data.random_crop import RandomCrop


@pytest.fixture(params=["RGB", "L"])
def picture(request):
    values = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    return Image.fromarray(values).convert(request.param)


@pytest.mark.parametrize("augmentation", [RandomCrop(), ColorJitter()])
def test_size_and_mode_stay_and_the_seed_decides(augmentation, picture):
    def apply(seed):
        return np.asarray(augmentation(picture, 1.0, np.random.default_rng(seed)))

    assert apply(1).shape == np.asarray(picture).shape
    assert np.array_equal(apply(1), apply(1))
    assert not np.array_equal(apply(1), apply(2))


@pytest.mark.parametrize("augmentation", [RandomCrop(), ColorJitter()])
def test_strength_zero_changes_nothing(augmentation, picture):
    result = augmentation(picture, 0.0, np.random.default_rng(0))
    assert np.array_equal(np.asarray(result), np.asarray(picture))


def test_a_crop_keeps_the_asked_share():
    gradient = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8), (100, 200))
    kept = []
    for seed in range(40):
        crop = np.asarray(
            RandomCrop(least_area=0.25, aspect=1.0)(
                Image.fromarray(gradient.copy()), 1.0, np.random.default_rng(seed)
            )
        )
        kept.append((int(crop.max()) - int(crop.min())) / 255)
    # a square crop of a quarter of the area keeps half of the gradient
    assert min(kept) > 0.45 and min(kept) < 0.6 and max(kept) > 0.9


def test_jitter_changes_brightness_within_its_bound():
    grey = Image.new("L", (8, 8), 100)
    values = [
        np.asarray(ColorJitter(0.2, 0, 0, 0)(grey, 1.0, np.random.default_rng(seed))).mean()
        for seed in range(40)
    ]
    assert min(values) >= 79 and max(values) <= 121 and max(values) - min(values) > 20


def test_hue_turns_red():
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    turned = [
        np.asarray(ColorJitter(0, 0, 0, 0.3)(red, 1.0, np.random.default_rng(seed)))[0, 0]
        for seed in range(20)
    ]
    assert any(pixel[1] > 60 for pixel in turned) and any(pixel[2] > 60 for pixel in turned)
