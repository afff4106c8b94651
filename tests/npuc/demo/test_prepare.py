import itertools

import numpy as np
import pytest

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.corpus import load_corpus, save_corpus
from npuc.demo.errors import DataError
from npuc.demo.prepare import prepare, split_digits


def test_every_digit_goes_to_one_split():
    parts = split_digits(10000, seed=0)
    together = np.concatenate(list(parts.values()))
    assert len(together) == len(set(together.tolist())) == 10000
    assert len(parts[Split.TEST]) == 1000


def test_a_corpus_survives_a_round_trip(corpus, tmp_path):
    save_corpus(corpus, tmp_path, Split.TRAIN)
    for name, values in vars(load_corpus(tmp_path, Split.TRAIN)).items():
        np.testing.assert_array_equal(values, getattr(corpus, name))


def test_what_is_there_is_not_made_again(corpus, tmp_path):
    for split in Split:
        save_corpus(corpus, tmp_path, split)
    corpora = prepare(tmp_path / "no package needed", tmp_path, seed=0)
    np.testing.assert_array_equal(corpora[Split.TEST].clips, corpus.clips)


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_missing_data_names_the_command(tmp_path, content):
    if content is not None:
        (tmp_path / "train.safetensors").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_corpus(tmp_path, Split.TRAIN)
    assert "npuc.demo.prepare" in caught.value.remedy


def test_clips_are_cut_at_their_offsets(corpus):
    clips = [corpus.clip(i) for i in range(len(corpus.clip_numbers))]
    assert {len(clip) for clip in clips} == {1600}
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(clips))
