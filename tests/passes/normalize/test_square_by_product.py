import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.float.convert_float16 import ConvertFloat16
from passes.normalize.square_by_product import SquareByProduct

TEXT = "g (float[2,3] x) => (float[2,3] y) <float two = {2.0}, float three = {3.0}> { y = Pow(x, two) }"


def test_a_square_is_a_product(model_from, same_graph, parity):
    model = model_from(TEXT)
    assert SquareByProduct()(model).modified
    same_graph(model, model_from("g (float[2,3] x) => (float[2,3] y) { y = Mul(x, x) }"))
    parity(model_from(TEXT), model, atol=0)


def test_it_computes_in_float32_as_before(model_from):
    model = model_from(TEXT)
    SquareByProduct()(model)
    InferShapes()(model)
    ConvertFloat16()(model)
    assert [node.op_type for node in model.graph] == ["Cast", "Mul", "Cast"]


@pytest.mark.parametrize(
    "body",
    [
        "y = Pow(x, three)",
        "y = Pow(two, x)",
    ],
)
def test_other_powers_stay(body, model_from):
    text = TEXT.replace("y = Pow(x, two)", body)
    assert not SquareByProduct()(model_from(text)).modified


def test_an_exponent_that_adds_axes_stays(model_from):
    text = "g (float[3] x, float[2,1] e) => (float[2,3] y) { y = Pow(x, e) }"
    assert not SquareByProduct()(model_from(text, {"e": np.full((2, 1), 2, np.float32)})).modified
