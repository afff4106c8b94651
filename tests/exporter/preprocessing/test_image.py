"""Patches against transformers' PIL processor."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as published_resize

from exporter.errors import ExportError
from exporter.preprocessing.image import PatchLayout, patches, smart_resize

CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}


def layout(size, **changes):
    values = {"patch": 16, "merge": 2, "temporal": 2, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return PatchLayout(size=size, **{**values, **changes})


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
@pytest.mark.parametrize("size", [(200, 320), (64, 64), (333, 97)])
@pytest.mark.parametrize("channels", [{}, CLIP])
def test_patches_equal_the_published_processor(mode, size, channels):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    target = smart_resize(size, 32, 32 * 32 * 4, 32 * 32 * 256)
    ours = layout(target, **channels)
    processor = Qwen2VLImageProcessorPil(
        patch_size=16, temporal_patch_size=2, merge_size=2, image_mean=list(ours.mean), image_std=list(ours.std),
        size={"shortest_edge": 32 * 32 * 4, "longest_edge": 32 * 32 * 256},
    )  # fmt: skip
    expected = processor(images=[image], return_tensors="np")
    assert expected["image_grid_thw"].tolist() == [[1, *ours.grid]]
    np.testing.assert_array_equal(patches(image, ours), expected["pixel_values"])


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([28, 32]))
def test_smart_resize_equals_the_published_one(height, width, factor):
    limits = (4 * factor * factor, 900 * factor * factor)
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(ExportError, match="elongated"):
            smart_resize((height, width), factor, *limits)
        return
    assert smart_resize((height, width), factor, *limits) == published_resize(height, width, factor, *limits)


def test_a_layout_survives_json():
    original = layout((64, 96), **CLIP)
    assert PatchLayout.from_settings(json.loads(json.dumps(dataclasses.asdict(original)))) == original
    assert (original.grid, original.token_grid) == ((4, 6), (2, 3))
