import json

import numpy as np
import pytest
from PIL import Image

from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.example_stream import ExampleStream
from passes.learning.training.data.manifest import Manifest
from passes.learning.training.data.random_crop import RandomCrop
from passes.learning.training.data.sample import Example
from passes.learning.training.data.strength_schedule import OFF, StrengthSchedule
from passes.learning.training.errors import TrainingError


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(5):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / f"{index}.png")
    lines = [json.dumps({"image": f"{i}.png", "text": f"picture {i}"}) for i in range(5)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    return Manifest(tmp_path / "train.jsonl")


def collate(examples):
    return [(example.text, np.asarray(example.image).tobytes()) for example in examples]


def stream(manifest, **settings):
    settings = {"batch_size": 2, "seed": 1, "augmenter": Augmenter(image=(RandomCrop(),)), **settings}
    return ExampleStream(manifest, collate, **settings)


def take(batches, count):
    return [next(batches) for _ in range(count)]


def test_an_epoch_shows_every_entry_once_in_a_new_order(manifest):
    texts = [[text for text, _ in batch] for batch in take(stream(manifest), 8)]
    epochs = [[*texts[start], *texts[start + 1]] for start in range(0, 8, 2)]
    assert all(len(set(epoch)) == 4 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_resumed_stream_goes_on_with_the_same_batches(manifest):
    first = stream(manifest)
    take(first, 3)
    state = json.loads(json.dumps(first.state_dict()))
    second = stream(manifest)
    second.load_state_dict(state)
    assert take(second, 3) == take(first, 3)
    with pytest.raises(TrainingError):
        stream(manifest, seed=2).load_state_dict(state)


def test_augmentation_is_seeded_and_follows_its_schedule(manifest):
    assert take(stream(manifest), 3) == take(stream(manifest), 3)
    plain = take(stream(manifest, augmenter=None), 3)
    assert take(stream(manifest), 3) != plain
    late = Augmenter(image=(RandomCrop(),), schedules={"image": StrengthSchedule(0.0, 1.0, 2, 2)})
    batches = take(stream(manifest, augmenter=late), 3)
    assert batches[:2] == plain[:2] and batches[2] != plain[2]


def test_modalities_are_switched_apart():
    def shout(value, strength, rng):
        return value.upper()

    def louder(value, strength, rng):
        return value * 2

    example = Example(samples=np.ones(4, np.float32), sample_rate=8000, text="hello", answer="yes")
    rng = np.random.default_rng(0)
    both = Augmenter(audio=(louder,), text=(shout,))(example, 0, rng)
    assert both.text == "HELLO" and both.samples[0] == 2 and both.answer == "yes"
    no_text = Augmenter(audio=(louder,), text=(shout,), schedules={"text": OFF})(example, 0, rng)
    assert no_text.text == "hello" and no_text.samples[0] == 2
    assert example.samples[0] == 1
