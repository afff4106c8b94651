import wave

import numpy as np
import pytest
from PIL import Image

from passes.learning.training.data.read_example import ReadLimits, read_example
from passes.learning.training.data.sample import Sample
from passes.learning.training.errors import TrainingError


@pytest.fixture
def files(tmp_path):
    Image.new("L", (12, 8), 200).save(tmp_path / "a.png")
    with wave.open(str(tmp_path / "a.wav"), "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(np.full(4000, 16384, "<i2").tobytes())
    return tmp_path


def test_picture_sound_and_text_are_read(files):
    example = read_example(Sample(files / "a.png", files / "a.wav", "hello", "5", "five"))
    assert example.image.mode == "RGB" and example.image.size == (12, 8)
    assert example.sample_rate == 8000 and np.all(example.samples == 0.5)
    assert (example.text, example.answer, example.label) == ("hello", "5", "five")
    assert example.modalities == ("image", "audio", "text")
    assert read_example(Sample(text="hello")).modalities == ("text",)


@pytest.mark.parametrize("limits", [ReadLimits(file_bytes=50), ReadLimits(pixels=90)])
def test_a_large_picture_is_refused(files, limits):
    with pytest.raises(TrainingError):
        read_example(Sample(image=files / "a.png"), limits)


def test_a_long_sound_is_refused(files):
    with pytest.raises(TrainingError, match="sound"):
        read_example(Sample(audio=files / "a.wav"), ReadLimits(seconds=0.4))


def test_damaged_and_missing_files_are_refused(files):
    (files / "bad.png").write_bytes((files / "a.png").read_bytes()[:40])
    (files / "bad.wav").write_bytes(b"RIFF")
    for sample in (
        Sample(image=files / "bad.png"),
        Sample(audio=files / "bad.wav"),
        Sample(image=files / "gone.png"),
    ):
        with pytest.raises(TrainingError):
            read_example(sample)
