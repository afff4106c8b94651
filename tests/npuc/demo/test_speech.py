import itertools
import stat

import numpy as np
import pytest

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.errors import DataError, ToolMissingError
from npuc.demo.speech import (
    VARIANTS,
    Utterance,
    number_words,
    plan_utterances,
    synthesize,
)


def install_fake_espeak(folder, monkeypatch, body):
    program = folder / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (20, "twenty"), (42, "forty two"), (99, "ninety nine")],
)
def test_number_words(number, words):
    assert number_words(number) == words


def test_number_words_are_unique():
    assert len({number_words(number) for number in range(100)}) == 100


@pytest.mark.parametrize("pair", itertools.combinations(Split, 2))
def test_voices_of_two_splits_are_disjoint(pair):
    first, second = pair
    assert not set(VARIANTS[first]) & set(VARIANTS[second])


def test_the_plan_is_repeatable_and_says_every_number():
    plan = plan_utterances(Split.TEST, 5)
    assert plan == plan_utterances(Split.TEST, 5)
    assert plan != plan_utterances(Split.TEST, 6)
    assert {utterance.number for utterance in plan} == set(range(100))


def test_a_missing_synthesiser_names_the_install_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        synthesize([Utterance(1, "en-us+m1", 150, 50)])
    assert caught.value.exit_code == 4
    assert "apt-get install espeak-ng" in caught.value.remedy


def test_an_unknown_voice_is_refused(monkeypatch, tmp_path):
    install_fake_espeak(tmp_path, monkeypatch, "echo ' 5  variant  --/M  male2  !v/m2'")
    with pytest.raises(DataError, match="lacks voice variants") as caught:
        synthesize([Utterance(1, "en-us+m1", 150, 50)])
    assert caught.value.received == "without m1"


def test_a_failing_synthesiser_is_reported_with_its_command(monkeypatch, tmp_path):
    body = 'if [ "$1" = "--voices=variant" ]; then echo " !v/m1 "; else echo broken >&2; exit 3; fi'
    install_fake_espeak(tmp_path, monkeypatch, body)
    with pytest.raises(DataError, match="did not speak") as caught:
        synthesize([Utterance(7, "en-us+m1", 150, 50)])
    assert caught.value.received == "exit code 3: broken"
    assert caught.value.where.endswith("--stdout seven")


def test_clips_lose_their_silence_and_change_rate(monkeypatch, tmp_path):
    import wave

    samples = np.zeros(22050, np.int16)
    samples[8000:16000] = (np.sin(np.arange(8000) * 0.1) * 12000).astype(np.int16)
    with wave.open(str(tmp_path / "fake.wav"), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(22050)
        writer.writeframes(samples.tobytes())
    body = f'if [ "$1" = "--voices=variant" ]; then echo " !v/m1 "; else /bin/cat {tmp_path}/fake.wav; fi'
    install_fake_espeak(tmp_path, monkeypatch, body)
    (clip,) = synthesize([Utterance(7, "en-us+m1", 150, 50)])
    assert clip.dtype == np.int16
    assert abs(len(clip) - 8000 * 8000 / 22050) < 40
