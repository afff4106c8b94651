import pytest

from npuc.errors import UsageError
from npuc.settings.recipe import Distill, Prune, Qat, Recipe, Subnetwork
from npuc.settings.training_settings import parse_assignments, with_training


def test_assignments():
    assert parse_assignments("steps=20, learning_rate=1e-5") == {"steps": "20", "learning_rate": "1e-5"}


@pytest.mark.parametrize("text", ["", "steps", "steps=", "=2", "steps=1,steps=2", "steps=1,,seed=2"])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(UsageError):
        parse_assignments(text)


def test_settings_go_over_those_of_the_recipe():
    recipe = Recipe(qat=Qat(steps=5, seed=3))
    changed = with_training(recipe, {"steps": "20", "learn_scales": "true"}, None).qat
    assert (changed.steps, changed.seed, changed.learn_scales) == (20, 3, True)
    assert with_training(recipe, None, None) == recipe
    assert with_training(Recipe(), None, None).qat is None
    assert with_training(Recipe(), {}, None).qat == Qat()


def test_data_goes_to_every_section_that_trains():
    recipe = Recipe(distill=Distill())
    changed = with_training(recipe, {"steps": 1}, "data.jsonl")
    assert changed.qat.data == changed.distill.data == "data.jsonl"
    assert with_training(recipe, None, "data.jsonl").qat is None
    nested = Recipe(prune=Prune(subnetworks=(Subnetwork(name="full", operations=1.0),)))
    assert with_training(nested, None, "data.jsonl").prune.data == "data.jsonl"
    with pytest.raises(UsageError, match="nothing is trained"):
        with_training(Recipe(), None, "data.jsonl")


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"step": 1}, {"learning_rate": "fast"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        with_training(Recipe(), wrong, None)
