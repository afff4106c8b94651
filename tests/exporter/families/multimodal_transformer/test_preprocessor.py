import numpy as np
import pytest
from PIL import Image

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.preprocessor import MASKED, Preprocessor
from npuc.demo.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P"])
def test_pictures_of_every_mode_become_normalised_grey(mode):
    pixels = Preprocessor().pixels(Image.new("L", (128, 64), 255).convert(mode))
    assert (pixels.shape, pixels.dtype) == ((1, 32, 64), np.float32)
    np.testing.assert_allclose(pixels, (1 - 0.1) / 0.3, rtol=1e-5)


def test_a_picture_of_the_right_size_is_not_resampled():
    grey = np.random.default_rng(0).integers(0, 256, (32, 64)).astype(np.uint8)
    expected = (grey.astype(np.float32) / 255 - 0.1) / 0.3
    np.testing.assert_allclose(Preprocessor().pixels(Image.fromarray(grey))[0], expected, atol=1e-6)


def test_a_question_is_padded_and_masked(tokenizer):
    ids, mask = Preprocessor().question(tokenizer, "What is the SUM?")
    assert ids.shape == (16,)
    assert (ids[5:] == tokenizer.token_to_id("<pad>")).all()
    np.testing.assert_array_equal(mask[0, 0], [0.0] * 5 + [MASKED] * 11)
    assert mask.dtype == np.float32


@pytest.mark.parametrize("prompt", ["", "  ", "word " * 17])
def test_a_question_that_does_not_fit_is_refused(tokenizer, prompt):
    with pytest.raises(SourceError, match="does not fit"):
        Preprocessor().question(tokenizer, prompt)


def test_a_long_sound_is_refused():
    with pytest.raises(SourceError, match="too long") as caught:
        Preprocessor().spectrogram(np.zeros(32000, np.float32), 16000)
    assert caught.value.received == "2.00 s"


def test_json_round_trip():
    preprocessor = Preprocessor()
    assert Preprocessor.from_json(preprocessor.to_json()) == preprocessor


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [("image", "height", 0), ("image", "std", 0.0), ("audio", "n_fft", "256"), ("audio", "hop_length", -1)],
)
def test_a_setting_out_of_range_is_named(group, name, value):
    document = Preprocessor().to_json()
    document[group][name] = value
    with pytest.raises(SourceError) as caught:
        Preprocessor.from_json(document)
    assert caught.value.where.endswith(name)


def test_an_unknown_setting_is_refused():
    document = Preprocessor().to_json()
    document["audio"]["window"] = "hann"
    with pytest.raises(SourceError, match="cannot be read"):
        Preprocessor.from_json(document)


def test_an_answer_falls_into_digits_and_comes_back_whole(tokenizer):
    ids = tokenizer.encode("105").ids
    assert [tokenizer.id_to_token(i) for i in ids] == ["1", "0", "5"]
    assert tokenizer.decode(ids) == "105"


def test_words_of_other_splits_are_unknown_and_the_size_fits_hardware(tokenizer):
    assert tokenizer.encode("these zebras").tokens == ["<unk>", "<unk>"]
    assert tokenizer.get_vocab_size() % 16 == 0
