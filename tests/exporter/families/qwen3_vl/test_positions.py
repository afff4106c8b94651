"""Positions against transformers' own functions."""

import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import vision_utils
from transformers.models.qwen3_vl import modeling_qwen3_vl as published

from exporter.families.qwen3_vl import positions


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_patch_coordinates(rows, columns):
    grid = torch.tensor([[1, 2 * rows, 2 * columns]])
    expected = vision_utils.get_vision_position_ids(grid, 2).numpy()
    np.testing.assert_array_equal(positions.patch_coordinates((2 * rows, 2 * columns), 2), expected)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), side=st.integers(1, 12))
def test_resampled_positions(rows, columns, side):
    grid = (2 * rows, 2 * columns)
    table = np.random.default_rng(side).standard_normal((side * side, 3), np.float32)
    indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
        torch.tensor([[1, *grid]]), side, align_corners=True, spatial_merge_size=2
    )
    expected = (torch.from_numpy(table)[indices] * weights[:, :, None]).sum(1).numpy()
    actual = positions.interpolate_positions(table, positions.patch_coordinates(grid, 2), grid)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_vision_rotary_tables():
    config = types.SimpleNamespace(
        rope_parameters={"rope_type": "axial", "rope_theta": 10000.0}, hidden_size=64, num_attention_heads=4
    )
    coordinates = positions.patch_coordinates((6, 4), 2)
    module = published.Qwen3VLVisionRotaryEmbedding(config)
    expected = module(torch.zeros(1), torch.from_numpy(coordinates))
    for actual, table in zip(positions.vision_rotary_tables(coordinates, 16, 10000.0), expected, strict=True):
        np.testing.assert_allclose(actual, table.numpy(), atol=1e-6)


@pytest.mark.parametrize("section", [(24, 20, 20), (4, 2, 2), (6, 3, 3)])
def test_mrope_selector(section):
    """Feeds each axis its own number and reads off which one reaches each frequency."""
    module = types.SimpleNamespace(mrope_section=section)
    frequencies = torch.arange(3.0)[:, None, None, None].expand(3, 1, 1, sum(section)).clone()
    mixed = published.Qwen3VLTextRotaryEmbedding.recomposition_frequencies(module, frequencies)
    np.testing.assert_array_equal(positions.mrope_selector(section), mixed[0, 0, : sum(section)].numpy())


@settings(max_examples=50, deadline=None)
@given(
    before=st.integers(0, 9), between=st.integers(1, 4), after=st.integers(0, 9), images=st.integers(0, 3),
    rows=st.integers(1, 5), columns=st.integers(1, 5),
)  # fmt: skip
def test_token_positions(before, between, after, images, rows, columns):
    middle = ([1] * rows * columns + [0] * between) * images
    kinds = [0] * before + middle + [0] * (after + 1)
    config = types.SimpleNamespace(vision_config=types.SimpleNamespace(spatial_merge_size=2))
    model = types.SimpleNamespace(config=config)
    model.get_vision_position_ids = types.MethodType(published.Qwen3VLModel.get_vision_position_ids, model)
    expected, delta = published.Qwen3VLModel.get_rope_index(
        model,
        torch.zeros(1, len(kinds), dtype=torch.long),
        torch.tensor([kinds]),
        image_grid_thw=torch.tensor([[1, 2 * rows, 2 * columns]] * images) if images else None,
    )
    actual, following = positions.token_positions(np.array(kinds, bool), (rows, columns))
    np.testing.assert_array_equal(actual, expected[:, 0].numpy())
    assert following == len(kinds) + int(delta)


def test_half_an_image_is_refused():
    with pytest.raises(ValueError, match="do not fill"):
        positions.token_positions(np.array([False, True, True]), (2, 2))
