import pytest
from PIL import Image

from npuc.errors import RecipeError
from npuc.settings.recipe import Distill, Prune, Qat, Recipe, Subnetwork
from npuc.stages.learn.training_data_digest import data_digest, training_data_digests
from passes.learning.training.errors import TrainingError
from tests.npuc.stages.learn.conftest import write


def test_the_digest_follows_the_listed_files_and_no_others(manifest):
    first = data_digest(str(manifest))
    (manifest.parent / "notes.txt").write_text("not listed")
    assert data_digest(str(manifest)) == first
    Image.new("RGB", (4, 4), (9, 9, 9)).save(manifest.parent / "2.png")
    second = data_digest(str(manifest))
    assert second != first
    write(manifest.parent, {"image": "2.png", "text": "another"})
    assert data_digest(str(manifest)) != second


def test_the_digest_of_a_folder_follows_every_file(tmp_path):
    (tmp_path / "a").write_text("1")
    first = data_digest(str(tmp_path), may_be_folder=True)
    (tmp_path / "b").write_text("2")
    assert data_digest(str(tmp_path), may_be_folder=True) != first


def test_a_folder_is_no_manifest(tmp_path):
    assert training_data_digests(Recipe(distill=Distill(data=str(tmp_path))))[0]
    with pytest.raises(TrainingError, match="not a file"):
        training_data_digests(Recipe(qat=Qat(data=str(tmp_path))))


def test_every_section_has_its_own_digest(manifest):
    data, full = str(manifest), (Subnetwork(name="full", operations=1.0),)
    assert training_data_digests(Recipe()) == training_data_digests(Recipe(qat=Qat())) == ["", "", ""]
    digest = data_digest(data)
    assert training_data_digests(Recipe(distill=Distill(data=data))) == [digest, "", ""]
    assert training_data_digests(Recipe(prune=Prune(subnetworks=full, data=data))) == ["", digest, ""]
    assert training_data_digests(Recipe(qat=Qat(data=data))) == ["", "", digest]


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match="none"):
        data_digest(str(tmp_path / "none.jsonl"))
