import numpy as np
import pytest
from PIL import Image

from npuc.settings.recipe import Augment
from npuc.stages.learn import augmentation
from npuc.stages.learn.augmentation import make_augmenter
from passes.learning.training.data.sample import Example


@pytest.fixture
def example():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    samples = np.sin(np.arange(800, dtype=np.float32))
    return Example(Image.fromarray(pixels), samples, 8000, "what large colour?", "red", "3")


def changed(augmenter, example, step=0):
    result = augmenter(example, step, np.random.default_rng(1))
    assert (result.answer, result.label) == (example.answer, example.label)
    return {
        "image": not np.array_equal(np.asarray(result.image), np.asarray(example.image)),
        "audio": not np.array_equal(result.samples, example.samples),
        "text": result.text != example.text,
    }


def test_nothing_is_changed_unless_asked_for():
    assert make_augmenter(None) is None
    assert make_augmenter(Augment()) is None


@pytest.mark.parametrize("modality", ["image", "audio", "text"])
def test_each_modality_has_its_own_switch(example, monkeypatch, modality):
    class Words:
        def synonyms(self, word):
            return [word + "x"]

    monkeypatch.setattr(augmentation, "WordNet", Words)
    monkeypatch.setattr(
        augmentation, "ReplaceSynonyms", lambda synonyms: lambda text, _strength, _rng: synonyms(text)[0]
    )
    augmenter = make_augmenter(Augment.model_validate({modality: 1.0}))
    assert changed(augmenter, example) == {name: name == modality for name in ("image", "audio", "text")}


def test_the_strength_rises_over_its_share_of_the_training(example):
    augmenter = make_augmenter(Augment(image=0.8, ramp=0.5), batches=100)
    assert not changed(augmenter, example)["image"]
    assert changed(augmenter, example, 25)["image"]
    strengths = [augmenter.schedules["image"].strength(step) for step in (0, 25, 50, 99)]
    assert strengths == pytest.approx([0, 0.4, 0.8, 0.8])
