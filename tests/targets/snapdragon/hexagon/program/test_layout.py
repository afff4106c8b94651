"""Packed layouts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from targets.snapdragon.hexagon.program.layout import BlockLayout, pack_channels, pack_weights

extents = st.tuples(st.integers(1, 140), st.integers(1, 3), st.integers(1, 9))


@given(extents)
def test_unpack_undoes_pack(shape):
    planes = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    layout = BlockLayout(*shape)
    stored = layout.pack(planes)
    assert stored.nbytes == layout.nbytes
    assert layout.nbytes % 128 == 0
    np.testing.assert_array_equal(layout.unpack(stored), planes)


def test_four_columns_of_a_block_are_neighbours():
    planes = np.arange(40 * 5, dtype=np.uint8).reshape(40, 1, 5)
    stored = BlockLayout(40, 1, 5).pack(planes).reshape(-1)
    assert stored[:32].tolist() == planes[:32, 0, 0].tolist()
    assert stored[32:64].tolist() == planes[:32, 0, 1].tolist()
    assert stored[8 * 32 : 8 * 32 + 8].tolist() == planes[32:40, 0, 0].tolist()


def test_a_single_position_keeps_its_channels_together():
    layout = BlockLayout(130, 1, 1)
    assert (layout.blocks, layout.columns) == (8, 1)
    planes = np.arange(130, dtype=np.uint8).reshape(130, 1, 1)
    assert layout.pack(planes).reshape(-1)[:130].tolist() == planes.reshape(-1).tolist()


def test_a_register_of_weights_holds_four_inputs_of_32_outputs():
    weights = np.random.default_rng(0).integers(-127, 128, (33, 7, 2, 3)).astype(np.int8)
    packed = pack_weights(weights, 1, 2)
    assert packed.shape == (2, 2, 3, 1, 8, 32, 4)
    assert packed[0, 1, 2, 0, 1, 5, 2] == weights[5, 6, 1, 2]
    assert packed[1, 0, 0, 0, 0, 0, 3] == weights[32, 3, 0, 0]
    assert not packed[1, :, :, :, :, 1:].any()
    assert not packed[:, :, :, :, 1, :, 3].any()


def test_one_value_for_all_channels_fills_every_lane():
    assert pack_channels(np.array([7]), 2, 0).tolist() == [7] * 64
    assert pack_channels(np.array([1, 2]), 1, 9).tolist() == [1, 2] + [9] * 30
