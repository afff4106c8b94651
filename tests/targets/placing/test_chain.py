import numpy as np
import pytest

from targets.errors import TargetError
from targets.placing.chain import ChainExecutor, ChainPart


def part(inputs, **outputs):
    """A part that returns sums of its inputs, and checks that it gets those alone."""

    def run(feeds):
        assert set(feeds) == set(inputs)
        return {name: add + sum(feeds.values()) for name, add in outputs.items()}

    return ChainPart(run, tuple(inputs))


def test_values_go_from_part_to_part():
    chain = ChainExecutor([part("x", h=1, k=10), part("hm", h=2), part("kh", y=0)], ["y", "k"])
    result = chain({"x": np.float32(1), "m": np.float32(5), "unused": np.float32(9)})
    # k = 11; h = 2, then 2 + 5 + 2 = 9; y = 11 + 9
    assert result == {"k": 11, "y": 20}


def test_a_value_that_nothing_makes_is_named():
    with pytest.raises(TargetError, match="neither an input") as caught:
        ChainExecutor([part("x", h=1), part("hz", y=0)], ["y"])({"x": np.float32(1)})
    assert (caught.value.where, caught.value.received) == ("part 1", "z")


def test_a_missing_output_is_named():
    with pytest.raises(TargetError, match="no part of the chain makes an output"):
        ChainExecutor([part("x", h=1)], ["y"])({"x": np.float32(1)})
