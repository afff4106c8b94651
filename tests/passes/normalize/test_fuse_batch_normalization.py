import numpy as np
import pytest

from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.normalize.fuse_batch_normalization import FuseBatchNormalization

NORM = "y = BatchNormalization <epsilon = 0.001> (c, gain, shift, mean, variance)"
WITH_BIAS = "c = Conv <pads = [1, 1, 1, 1]> (x, w, b)"
GROUPED = "c = Conv <group = 2, strides = [2, 2]> (x, w)"


def make(model_from, body, weight=(4, 2, 3, 3), extra="", shape="[1,4,8,8]"):
    random = np.random.default_rng(0)
    sizes = {"w": weight, "b": (4,), "gain": (4,), "shift": (4,), "mean": (4,), "variance": (4,)}
    texts = []
    for name, size in sizes.items():
        values = random.uniform(0.1, 2.0, size) if name == "variance" else random.normal(size=size)
        numbers = ", ".join(f"{value:.6f}" for value in values.ravel())
        texts.append(f"float[{','.join(map(str, size))}] {name} = {{{numbers}}}")
    return model_from(f"g (float[1,2,8,8] x{extra}) => (float{shape} y) <{', '.join(texts)}> {{ {body} }}")


@pytest.mark.parametrize(
    ("conv", "weight", "shape"),
    [(WITH_BIAS, (4, 2, 3, 3), "[1,4,8,8]"), (GROUPED, (4, 1, 3, 3), "[1,4,3,3]")],
)
def test_the_convolution_takes_the_normalisation_in(conv, weight, shape, model_from, parity):
    before, after = (make(model_from, f"{conv} {NORM}", weight, shape=shape) for _ in range(2))
    assert FuseBatchNormalization()(after).modified
    EliminateDeadNodes()(after)
    (node,) = after.graph
    assert node.op_type == "Conv"
    assert node.attributes == {**next(iter(before.graph)).attributes}
    assert "w" not in after.graph.initializers
    parity(before, after, atol=1e-4)


@pytest.mark.parametrize(
    "body",
    [
        f"{WITH_BIAS} n = BatchNormalization (c, gain, shift, mean, variance) y = Add(n, c)",
        f"c = Relu(x) d = Conv <pads = [1, 1, 1, 1]> (c, w) e = Relu(d) {NORM.replace('(c,', '(e,')}",
    ],
)
def test_what_others_read_or_no_convolution_made_stays(body, model_from):
    assert not FuseBatchNormalization()(make(model_from, body)).modified


def test_statistics_that_are_computed_stay(model_from):
    model = make(model_from, f"{WITH_BIAS} {NORM.replace('gain', 'given')}", extra=", float[4] given")
    assert not FuseBatchNormalization()(model).modified


def test_two_normalisations_of_one_weight_get_weights_of_their_own(model_from, parity):
    body = (
        "c = Conv <pads = [1, 1, 1, 1]> (x, w) d = Conv <pads = [1, 1, 1, 1]> (x, w, b)"
        " n = BatchNormalization (c, gain, shift, mean, variance) m = BatchNormalization (d, b, mean, shift, variance)"
        " y = Add(n, m)"
    )
    before, after = make(model_from, body), make(model_from, body)
    FuseBatchNormalization()(after)
    assert [node.op_type for node in after.graph] == ["Conv", "Conv", "Add"]
    parity(before, after, atol=1e-4)
