import pytest

from npuc.errors import RecipeError
from npuc.settings.recipe_file import load_recipe, tier_recipe
from targets.devices.device import TIERS


@pytest.mark.parametrize("tier", TIERS)
def test_tier_recipes_are_valid_and_named(tier):
    assert tier_recipe(tier).name == tier


def test_high_tier_uses_formats_by_modality():
    precision = tier_recipe("high").precision
    assert (precision.vision, precision.audio, precision.text, precision.fusion) == (
        "e4m3",
        "e4m3",
        "e5m2",
        "float16",
    )


def test_unknown_tier():
    with pytest.raises(RecipeError, match="unknown tier") as caught:
        tier_recipe("middle")
    assert caught.value.exit_code == 2


def test_file_extends_a_tier_and_replaces_only_what_it_names(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('extends = "high"\nname = "mine"\n[precision]\ntext = "e4m3"\n')
    recipe = load_recipe(path)
    assert recipe.name == "mine"
    assert recipe.precision.text == "e4m3"
    assert recipe.precision.fusion == "float16"
    assert recipe.calibration == tier_recipe("high").calibration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[precision]\nvison = 'e4m3'\n", "precision.vison"),
        ("[precision]\nvision = 'fp8'\n", "precision.vision"),
        ("[calibration]\nsamples = 0\n", "calibration.samples"),
        ("[precision]\nbase = 'float16'\nvision = 'float32'\n", "vision is float32, but base is float16"),
        ("version = 2\n", "version"),
        ("[precision\n", "not valid TOML"),
        (f"a = {'[' * 5000}{']' * 5000}\n", "not valid TOML"),
        ("[distill]\nparams = 'small'\n", "distill.params"),
    ],
)
def test_bad_recipe_names_the_key(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)


def test_missing_recipe(tmp_path):
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")


def test_mid_tier_has_three_nested_subnetworks():
    prune = tier_recipe("mid").prune
    assert [(s.name, s.operations) for s in prune.subnetworks] == [
        ("full", 1.0),
        ("balanced", 0.75),
        ("low_power", 0.5),
    ]


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([("small", 0.5)], "first sub-network must be full"),
        ([("full", 1.0), ("a", 0.5), ("b", 0.75)], "largest to the smallest"),
        ([("full", 1.0), ("full", 0.5)], "names of their own"),
        ([("full", 1.0), ("../x", 0.5)], "pattern"),
    ],
)
def test_subnetworks_are_checked(tmp_path, networks, message):
    path = tmp_path / "own.toml"
    entries = [f'[[prune.subnetworks]]\nname = "{name}"\noperations = {share}\n' for name, share in networks]
    path.write_text("\n".join(entries))
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_float32_base_needs_no_other_key(tmp_path):
    path = tmp_path / "wide.toml"
    path.write_text("[precision]\nbase = 'float32'\n")
    assert load_recipe(path).precision.fusion == "base"


def test_neither_tier_nor_file(npuc):
    result = npuc("recipe", "show", "hgih")
    assert result.code == 2
    assert "neither a tier nor a recipe file" in result.err
