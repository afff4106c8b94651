import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.dataset import load_kinds, save_examples
from npuc.demo.examples import draw_examples
from npuc.demo.questions import Kind, solve


@pytest.fixture
def examples(corpus):
    return draw_examples(corpus, Split.TEST, 12, seed=1)


@pytest.fixture
def folder(tmp_path, examples):
    save_examples(examples, tmp_path, Split.TEST)
    return tmp_path


def test_examples_are_repeatable_and_even(corpus, examples):
    assert [e.question for e in examples] == [
        e.question for e in draw_examples(corpus, Split.TEST, 12, seed=1)
    ]
    assert [e.kind for e in examples] == [*Kind, *Kind]


def test_answers_are_right(examples, corpus):
    for example in examples:
        assert any(
            example.answer == str(solve(example.kind, shown, int(said)))
            for shown in range(10, 100)
            for said in corpus.clip_numbers
        )


def test_what_is_saved_is_loaded(folder, examples):
    requests = load_requests("test", folder)
    assert load_kinds("test", folder) == [example.kind for example in examples]
    for example, request in zip(examples, requests, strict=True):
        assert (request.prompt, request.answer) == (example.question, example.answer)
        assert request.sample_rate == 8000
        np.testing.assert_array_equal(np.asarray(request.image), example.image)
        assert request.audio.dtype == np.float32
        np.testing.assert_allclose(request.audio, example.samples, atol=0.015)


def test_the_same_examples_give_the_same_bytes(folder, examples, tmp_path):
    (tmp_path / "again").mkdir()
    save_examples(examples, tmp_path / "again", Split.TEST)
    for name in ("test.json", "test.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def drop_image(tensors):
    tensors["images"] = tensors["images"][1:]


def lose_audio(tensors):
    tensors["audio"] = tensors["audio"][:-1]


def swap_offsets(tensors):
    tensors["audio_offsets"][1:3] = tensors["audio_offsets"][[2, 1]]


def change_type(tensors):
    tensors["images"] = tensors["images"].astype(np.float32)


def remove_offsets(tensors):
    del tensors["audio_offsets"]


@pytest.mark.parametrize("damage", [drop_image, lose_audio, swap_offsets, change_type, remove_offsets])
def test_tensors_that_do_not_fit_are_refused(folder, damage):
    tensors = load_file(folder / "test.safetensors")
    damage(tensors)
    save_file(tensors, folder / "test.safetensors")
    with pytest.raises(SourceError, match="do not fit"):
        load_requests("test", folder)


@pytest.mark.parametrize(
    "change", [{"items": 3}, {"items": [{}]}, {"sample_rate": 0}, {"items": [{"kind": "x"}]}]
)
def test_a_damaged_list_of_questions_is_refused(folder, change):
    document = json.loads((folder / "test.json").read_text())
    (folder / "test.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(SourceError, match="damaged"):
        load_requests("test", folder)


def test_a_truncated_file_is_refused(folder):
    path = folder / "test.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SourceError, match="damaged"):
        load_requests("test", folder)


def test_a_missing_set_is_named(tmp_path):
    with pytest.raises(SourceError, match="missing") as caught:
        load_requests("test", tmp_path)
    assert "test.json" in caught.value.received


def test_reading_needs_no_torch():
    code = "import sys, npuc.demo.dataset; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
