import json

import numpy as np
import pytest
from PIL import Image

from exporter import calibration
from exporter.calibration import folder_requests, image_requests
from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder


def test_same_seed_same_pictures():
    first, second, other = (image_requests(seed, 2, (32, 64)) for seed in (4, 4, 5))
    assert first[0].image.size == (64, 32)
    np.testing.assert_array_equal(np.asarray(first[1].image), np.asarray(second[1].image))
    assert np.any(np.asarray(first[1].image) != np.asarray(other[1].image))


def test_requests_of_the_folder(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    entries = [{"prompt": "What colour?", "image": "a.png", "answer": "red"}, {"prompt": "Hello"}]
    (tmp_path / "calibration.json").write_text(json.dumps({"requests": entries}))
    first, second = folder_requests(ModelFolder(tmp_path))
    assert (first.prompt, first.answer, first.image.getpixel((0, 0))) == ("What colour?", "red", (255, 0, 0))
    assert (second.image, second.answer) == (None, None)


def test_a_folder_without_requests(tmp_path):
    assert folder_requests(ModelFolder(tmp_path)) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"requests": []}, "must hold a list"),
        ({"requests": [{"image": "a.png"}]}, "needs a prompt"),
        ({"requests": [{"prompt": "x", "image": 3}]}, "must be texts"),
        ({"requests": [{"prompt": "x", "image": "../a.png"}]}, "outside the folder"),
        ({"requests": [{"prompt": "x", "image": "bad.png"}]}, "cannot be read"),
        ({"requests": [{"prompt": "x", "image": "huge.png"}]}, "more than"),
    ],
)
def test_damaged_requests(tmp_path, content, message):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    header = Image.new("L", (1, 1))
    header.save(tmp_path / "huge.png")
    data = bytearray((tmp_path / "huge.png").read_bytes())
    data[16:24] = (9000).to_bytes(4, "big") * 2  # width and height in the IHDR chunk
    data[29:33] = __import__("zlib").crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(data)
    (tmp_path / "calibration.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=message):
        folder_requests(ModelFolder(tmp_path))


def test_pictures_are_bounded_together(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    entries = [{"prompt": "what?", "image": "a.png"}] * 2
    (tmp_path / calibration.FILE).write_text(json.dumps({"requests": entries}))
    monkeypatch.setattr(calibration, "MAX_ALL_PIXELS", 32)
    assert len(folder_requests(ModelFolder(tmp_path))) == 2
    monkeypatch.setattr(calibration, "MAX_ALL_PIXELS", 31)
    with pytest.raises(SourceError, match="31 pixels together"):
        folder_requests(ModelFolder(tmp_path))
