import dataclasses
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passes.learning.training.batches import DrawnStream, ShuffledStream, skip, to_device
from passes.learning.training.errors import TrainingError


def shuffled(seed=0, batch_size=3):
    return ShuffledStream(range(10), lambda items, rng: (items, rng.integers(100)), batch_size, seed)


@given(st.integers(0, 20), st.sampled_from([DrawnStream(lambda rng: rng.integers(1000), 4), shuffled()]))
def test_a_resumed_stream_goes_on_as_the_first_would(taken, stream):
    iterator = iter(stream)
    for _ in range(taken):
        next(iterator)
    state = stream.state_dict()
    expected = [next(iterator) for _ in range(5)]
    stream.load_state_dict(state)
    assert [next(iterator) for _ in range(5)] == expected


def test_every_epoch_has_every_example_once_in_a_new_order():
    stream = iter(shuffled(batch_size=5))
    epochs = [[*next(stream)[0], *next(stream)[0]] for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_skipping_equals_drawing():
    first, second = shuffled(), shuffled()
    next(first)
    skip(second)
    skip(iter(range(3)))
    assert next(first) == next(second)


def test_the_state_of_another_stream_is_refused():
    with pytest.raises(TrainingError, match="data stream"):
        shuffled(seed=1).load_state_dict(shuffled().state_dict())
    with pytest.raises(TrainingError, match="data stream"):
        shuffled().load_state_dict({**shuffled().state_dict(), "position": "3"})


def test_too_few_examples_are_refused():
    with pytest.raises(TrainingError, match="does not fill a batch"):
        shuffled(batch_size=11)


def test_tensors_anywhere_in_a_batch_are_moved():
    class Pair(NamedTuple):
        x: torch.Tensor
        y: str

    @dataclasses.dataclass
    class Record:
        x: torch.Tensor

    tensor = torch.zeros(2)
    batch = {"a": [tensor, (tensor, 3)], "b": Pair(tensor, "y"), "c": Record(tensor)}
    moved = to_device(batch, torch.device("meta"))
    assert moved["a"][0].is_meta and moved["a"][1][0].is_meta and moved["a"][1][1] == 3
    assert moved["b"].x.is_meta and moved["b"].y == "y"
    assert moved["c"].x.is_meta and not batch["c"].x.is_meta
