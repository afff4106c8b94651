import pytest

from npuc.errors import UsageError
from npuc.settings.input_shapes import parse_input_shapes, with_input_shapes
from npuc.settings.recipe import Capture, Recipe
from tests.exporter.sources.test_sources import make_onnx


def test_shapes_are_read_by_name():
    texts = ["input:0=1,224,224,3", "a=b=2, 5"]
    assert parse_input_shapes(texts) == {"input:0": (1, 224, 224, 3), "a=b": (2, 5)}


@pytest.mark.parametrize(
    "texts", [["x"], ["=1"], ["x="], ["x=1,"], ["x=1,n"], ["x=0,4"], ["x=-1,4"], ["x=1", "x=2"]]
)
def test_what_is_no_shape_is_refused(texts):
    with pytest.raises(UsageError, match=r"--input-shape(.|\n)*picture=1,3,224,224") as caught:
        parse_input_shapes(texts)
    assert caught.value.exit_code == 2


def test_shapes_are_added_to_those_of_the_recipe():
    recipe = Recipe(capture=Capture(input_shapes={"x": (1, 4), "z": (2,)}))
    assert with_input_shapes(recipe, {"x": [3, 4]}).capture.input_shapes == {"x": (3, 4), "z": (2,)}
    assert with_input_shapes(recipe, {}) is recipe


def test_the_command_fixes_an_open_batch(npuc, tmp_path):
    model = make_onnx(tmp_path / "open.onnx", shape=("batch", 4))
    refused = npuc("coverage", model, "--device", "iphone-17-pro")
    assert refused.code == 3 and "--input-shape x=1,4" in refused.err
    assert npuc("coverage", model, "--device", "iphone-17-pro", "--input-shape", "x=one").code == 2
    result = npuc("coverage", model, "--device", "iphone-17-pro", "--input-shape", "x=2,4")
    assert result.code == 0, result.err
