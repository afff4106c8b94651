import numpy as np
import pytest

from npuc.compare.source.original_answers import drop_answers, keep_answers, load_answers
from npuc.compare.source.sample_files import KINDS_NAME, load_labelled, save_labelled
from npuc.compare.source.samples import Answered, Sample, label_samples
from npuc.errors import ArtifactError


def sample(value, edge="", usual=True):
    return Sample({"x": np.full(3, value, np.float32)}, edge, usual)


def test_samples_come_back_with_what_is_special_about_them(tmp_path):
    save_labelled(
        {"model": [sample(1), sample(0, "floats are 0"), sample(9, "large", usual=False)]}, tmp_path
    )
    loaded = load_labelled(tmp_path)["model"]
    assert [(row.edge, row.usual) for row in loaded] == [("", True), ("floats are 0", True), ("large", False)]
    assert [row.feeds["x"][0] for row in loaded] == [1, 0, 9]


@pytest.mark.parametrize("text", ["", "{", '{"model": 3}', '{"model": [["", true], ["", true]]}'])
def test_files_that_do_not_belong_together_are_refused(text, tmp_path):
    save_labelled({"model": [sample(1)]}, tmp_path)
    (tmp_path / KINDS_NAME).write_text(text)
    with pytest.raises(ArtifactError, match="samples cannot be read"):
        load_labelled(tmp_path)


def test_answers_are_kept_until_they_are_dropped(tmp_path):
    rows = {"model": [Answered(sample(1, "edge"), {"y": np.arange(3)})], "other": []}
    keep_answers(rows, tmp_path)
    (row,) = load_answers(tmp_path)["model"]
    assert row.sample.edge == "edge"
    assert row.outputs["y"].tolist() == [0, 1, 2]
    drop_answers(tmp_path)
    assert not list(tmp_path.iterdir())


def test_calls_of_the_last_requests_are_those_at_the_edge():
    feeds = [{"x": np.full(1, value)} for value in range(4)]
    labelled = label_samples({"model": [feeds[0], feeds[3]]}, {"model": feeds}, ["zeros", "ones"])
    assert [row.edge for row in labelled["model"]] == ["", "ones"]
