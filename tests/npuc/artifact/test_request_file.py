import numpy as np
import pytest
from PIL import Image

from npuc.artifact.request_file import REQUESTS_NAME, load_requests, save_requests
from npuc.errors import ArtifactError
from program.program import Request


def test_requests_come_back_as_they_were(tmp_path):
    random = np.random.default_rng(0)
    requests = (
        Request("what colour?", image=Image.fromarray(random.integers(0, 255, (3, 5, 3), np.uint8))),
        Request("grey?", image=Image.fromarray(random.integers(0, 255, (3, 5), np.uint8)), answer="yes"),
        Request("who?", audio=random.standard_normal(7).astype(np.float32), sample_rate=16000),
        Request(tensors={"x": np.ones((2, 3), np.float16), "ids": np.arange(4)}),
        Request("nothing else"),
    )
    save_requests(requests, tmp_path)
    loaded = load_requests(tmp_path)
    for before, after in zip(requests, loaded, strict=True):
        assert (after.prompt, after.sample_rate, after.answer) == (
            before.prompt,
            before.sample_rate,
            before.answer,
        )
        assert (after.image is None) == (before.image is None)
        if before.image is not None:
            assert after.image.mode == before.image.mode
            np.testing.assert_array_equal(np.asarray(after.image), np.asarray(before.image))
        np.testing.assert_array_equal(after.audio, before.audio)
        assert after.tensors.keys() == before.tensors.keys()
        for name, array in before.tensors.items():
            assert after.tensors[name].dtype == array.dtype
            np.testing.assert_array_equal(after.tensors[name], array)


def test_requests_without_arrays_come_back(tmp_path):
    save_requests([Request("one"), Request("two")], tmp_path)
    assert [request.prompt for request in load_requests(tmp_path)] == ["one", "two"]


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / REQUESTS_NAME).write_bytes(b"\x08\0\0\0\0\0\0\0damaged!")
    with pytest.raises(ArtifactError, match="requests cannot be read"):
        load_requests(tmp_path)
