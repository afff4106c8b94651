import itertools

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.modality import SCOPE_KEY
from passes.core.errors import PassError
from passes.cut.layer_plan import divide, layer_units, rounding_steps, unit_weights, weight_size
from tests.graphs import make_model

TEXT = """
g (float[1, 4] ids, float[4, 4] table, float[4, 4] w0, float[4, 4] w1, float[4, 8] head) => (float[1, 8] y)
{
    [embed] x = MatMul(ids, table)
    [rope] angle = Cos(ids)
    [a0] h0 = MatMul(x, w0)
    [b0] h1 = Mul(h0, angle)
    [after] h2 = Relu(h1)
    [turn] t = Transpose(w1)
    [a1] h3 = MatMul(h2, t)
    [b1] h4 = Add(h3, angle)
    [norm] h5 = Relu(h4)
    [head] y = MatMul(h5, head)
}
"""
SCOPES = {
    "a0": "model.layers.0.attn", "b0": "layers.0", "a1": "layers.1.attn", "b1": "layers.1",
    "embed": "embed", "norm": "norm", "head": "lm_head", "after": "mergers.0",
}  # fmt: skip


@pytest.fixture
def model():
    sizes = {"table": (4, 4), "w0": (4, 4), "w1": (4, 4), "head": (4, 8)}
    model = make_model(TEXT, {name: np.ones(shape, np.float32) for name, shape in sizes.items()})
    for node in model.graph:
        node.metadata_props[SCOPE_KEY] = SCOPES.get(node.name, "")
    return model


def test_units_follow_the_layers_and_never_go_back(model):
    units = layer_units(model.graph)
    by_name = {node.name: unit for node, unit in units.of_node.items()}
    assert by_name == {
        "embed": 0, "rope": 0, "a0": 1, "b0": 1, "after": 1, "a1": 2, "b1": 2, "norm": 3, "head": 3,
    }  # fmt: skip
    assert units.count == 4  # what precedes, two layers, what follows


def test_a_weight_counts_where_it_is_read_even_through_a_node(model):
    weights = unit_weights(layer_units(model.graph), lambda tensor: tensor.nbytes)
    assert weights == [64, 64, 64, 128]


def test_a_graph_without_a_list_of_modules_is_refused(model):
    for node in model.graph:
        node.metadata_props.clear()
    with pytest.raises(PassError, match="no layers"):
        layer_units(model.graph)


def test_rounding_steps_are_layers_or_products(model):
    assert rounding_steps(model.graph) == 2
    for node in model.graph:
        node.metadata_props[SCOPE_KEY] = node.metadata_props[SCOPE_KEY].replace("layers.1", "layers.35")
    assert rounding_steps(model.graph) == 2
    for node in model.graph:
        node.metadata_props.clear()
    assert rounding_steps(model.graph) == 1
    # the product by a transposed weight is not one by a constant
    assert rounding_steps(model.graph, has_modules=False) == 3


def test_rounding_steps_count_those_of_a_recurrent_operator():
    text = """g (float[7,1,4] x) => (float[7,1,1,3] y) {
        y, state = GRU<hidden_size=3>(x, w, r)
    }"""
    weights = {"w": np.ones((1, 9, 4), np.float32), "r": np.ones((1, 9, 3), np.float32)}
    assert rounding_steps(make_model(text, weights).graph) == 8
    assert rounding_steps(make_model(text, weights).graph, has_modules=False) == 7


def test_size_counts_bits_of_large_weights_only():
    large = ir.LazyTensor(lambda: pytest.fail("read"), ir.DataType.FLOAT, ir.Shape([256, 257]))
    small = ir.tensor(np.ones(8, ml_dtypes.bfloat16))
    assert weight_size(4)(large) == 256 * 257 // 2
    assert weight_size(4)(small) == 16


@pytest.mark.parametrize(
    ("weights", "limit", "ends"),
    [
        ([1, 10, 10, 10, 10, 5], 100, (6,)),
        ([1, 10, 10, 10, 10, 5], 25, (3, 6)),
        ([0, 4, 4, 4, 4, 4, 4, 2], 16, (4, 8)),  # balanced: 12 and 14 rather than 16 and 10
        ([0, 9, 9, 9, 20], 10, (2, 3, 4, 5)),  # the last one alone, above the limit
    ],
)
def test_parts_are_few_and_then_even(weights, limit, ends):
    assert divide(weights, limit) == ends


@given(st.lists(st.integers(0, 20), min_size=1, max_size=7), st.integers(1, 60))
def test_no_other_division_is_better(weights, limit):
    def parts(ends):
        return [sum(weights[start:stop]) for start, stop in itertools.pairwise((0, *ends))]

    received = divide(weights, limit)
    assert received[-1] == len(weights) and sorted(set(received)) == list(received)
    if max(weights) > limit:
        return
    cuts = range(1, len(weights))
    fitting = [
        found
        for count in range(len(weights))
        for chosen in itertools.combinations(cuts, count)
        if max(found := parts((*chosen, len(weights)))) <= limit
    ]
    fewest = min(len(found) for found in fitting)
    assert len(received) == fewest
    assert max(parts(received)) == min(max(found) for found in fitting if len(found) == fewest)
