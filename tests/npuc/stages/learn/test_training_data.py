import numpy as np
import pytest
from PIL import Image

from npuc.stages.learn.training_data import manifest_requests
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.errors import TrainingError
from program.program import Component, Modality, Program, Role

ROLES = (Role.VISION_ENCODER, Role.EMBEDDING, Role.PREFILL, Role.DECODE)


def program(*roles):
    return Program(
        "any", {role: Component(role, role, Modality.TEXT, None) for role in roles}, {}, {}, (), {}
    )


def test_requests_are_a_seeded_choice_in_the_order_of_the_manifest(manifest):
    def asked(count, seed):
        return [request.prompt for request in manifest_requests(program(*ROLES), str(manifest), count, seed)]

    everything = [f"what is {index}?" for index in range(4)]
    assert asked(99, 0) == everything
    chosen = asked(2, 0)
    assert chosen == asked(2, 0) == sorted(chosen) and len(chosen) == 2
    assert len({tuple(asked(2, seed)) for seed in range(8)}) > 1


def test_a_request_has_the_picture_and_the_answer(manifest):
    requests = manifest_requests(program(*ROLES), str(manifest), 4, 0)
    assert [np.asarray(request.image)[0, 0, 0] for request in requests] == [0, 1, 2, 3]
    assert [request.answer for request in requests] == ["0", "1", "2", "3"]


def test_augmentation_repeats_entries_and_changes_the_repetitions(manifest):
    def darken(picture, strength, rng):
        return Image.new("RGB", picture.size, (int(rng.integers(100, 255)), int(10 * strength), 0))

    def pixels(seed):
        augmenter = Augmenter(image=(darken,))
        requests = manifest_requests(program(*ROLES), str(manifest), 10, seed, augmenter)
        assert [request.answer for request in requests] == [*"0123", *"0123", *"01"]
        return [tuple(np.asarray(request.image)[0, 0]) for request in requests]

    first = pixels(0)
    assert first[:4] == [(red, 0, 0) for red in range(4)]
    assert all(red >= 100 and green == 10 for red, green, _ in first[4:]) and len(set(first)) > 6
    assert pixels(0) == first != pixels(1)


@pytest.mark.parametrize(
    ("roles", "taken"), [(ROLES[1:], "the model takes text"), ((Role.MODEL,), "the model takes tensors")]
)
def test_what_the_model_does_not_take_is_refused(manifest, roles, taken):
    with pytest.raises(TrainingError, match=taken) as caught:
        manifest_requests(program(*roles), str(manifest), 1, 0)
    assert "entry" in caught.value.where and "image" in caught.value.received
