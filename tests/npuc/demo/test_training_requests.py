"""Requests drawn from the training data that is shipped with the bundled model."""

from __future__ import annotations

import numpy as np

from exporter.files.model_folder import ModelFolder
from npuc.demo import demo_folder
from npuc.demo.training_requests import training_requests


def test_several_questions_share_a_picture_and_a_sound():
    requests = training_requests(ModelFolder(demo_folder()), 8, seed=0, questions=3)
    assert len(requests) == 8
    first, second, third, other = requests[:4]
    assert first.image is second.image is third.image and first.audio is third.audio
    assert not np.array_equal(np.asarray(other.image), np.asarray(first.image))
    assert len({request.prompt for request in (first, second, third)}) == 3
    assert all(request.answer.isdigit() for request in requests)


def test_the_first_questions_do_not_depend_on_how_many_follow():
    folder = ModelFolder(demo_folder())
    alone, together = training_requests(folder, 1, 5), training_requests(folder, 6, 5, questions=6)
    assert (alone[0].prompt, alone[0].answer) == (together[0].prompt, together[0].answer)
