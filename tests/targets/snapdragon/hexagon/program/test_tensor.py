import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.errors import TargetError
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_steps_through_memory_are_those_of_the_planes(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    tensor = QuantizedTensor("x", tuple(shape), axis, 1.0, 0)
    memory = np.arange(math.prod(shape)).reshape(shape)
    planes = tensor.planes(memory)
    if not tensor.has_planes:
        with pytest.raises(TargetError, match="channel axis"):
            assert tensor.strides
        return
    steps = np.array(tensor.strides)
    places = np.stack(np.meshgrid(*map(np.arange, tensor.extents), indexing="ij"), axis=-1)
    assert np.array_equal(places @ steps, planes)
