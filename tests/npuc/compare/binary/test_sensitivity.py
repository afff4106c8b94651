"""What a reference keeps by itself."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from npuc.compare.binary.agreement import Bound, Reference, compare
from npuc.compare.binary.sensitivity import LEAST, MARGIN, attainable_bound, moved_reference
from npuc.compare.noisy_graph import EITHER_NEIGHBOUR, UP_OR_DOWN, noisy_graph
from program.onnx_executor import OnnxExecutor

FEEDS = [{"x": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float16)}]
BOUND = Bound(min_sqnr=25.0)


@pytest.fixture
def graph(tmp_path):
    """Writes a graph that passes differences between two equal values on, some times larger than the values."""

    def write(factor):
        text = """<ir_version: 8, opset_import: ["": 18]> g (float16[64,64] x) => (float16[64,64] y) {
            a = Relu(x)
            b = Relu(x)
            difference = Sub(a, b)
            large = Mul(difference, factor)
            y = Add(a, large)
        }"""
        model = onnx.parser.parse_model(text)
        model.graph.initializer.append(numpy_helper.from_array(np.float16(factor), "factor"))
        model = onnx.shape_inference.infer_shapes(model)
        onnx.save(model, tmp_path / "g.onnx")
        return tmp_path / "g.onnx"

    return write


def own(path):
    reference = Reference(OnnxExecutor(path))
    return compare(reference, moved_reference(path), FEEDS, Bound()).sqnr


def test_a_graph_that_only_rounds_has_the_last_place_as_noise(graph):
    # three roundings, each by a unit (2^-11 to 2^-10 of a value) in half of the cases
    assert 56 <= own(graph(0)) <= 66


def test_noise_grows_as_the_graph_amplifies_it(graph):
    small, large = own(graph(50)), own(graph(500))
    assert small - large == pytest.approx(20, abs=1)


def test_same_seed_same_figure(graph):
    path = graph(3)
    assert own(path) == own(path)


def test_the_given_bound_stays_where_the_reference_keeps_more(graph):
    path = graph(3)
    assert attainable_bound(BOUND, Reference(OnnxExecutor(path)), moved_reference(path), FEEDS) is BOUND


def test_the_bound_is_what_the_reference_keeps_itself(graph):
    path = graph(200)
    assert LEAST < own(path) < 25
    found = attainable_bound(BOUND, Reference(OnnxExecutor(path)), moved_reference(path), FEEDS)
    assert found == Bound(min_sqnr=round(own(path) - MARGIN, 1), own=True)


def test_a_reference_without_footing_passes_nothing_on(graph):
    path = graph(10_000)
    found = attainable_bound(BOUND, Reference(OnnxExecutor(path)), moved_reference(path), FEEDS)
    assert found.min_sqnr == LEAST


def test_a_bound_on_the_largest_difference_stays(graph):
    bound, path = Bound(max_relative_error=1e-3), graph(10_000)
    assert attainable_bound(bound, Reference(OnnxExecutor(path)), moved_reference(path), FEEDS) is bound


def test_the_manifest_states_and_reads_such_a_bound():
    bound = Bound(min_sqnr=21.2, own=True)
    assert str(bound.record()) == "SQNR >= 21.2 dB, as its reference by itself"
    assert Bound.of(bound.record()) == bound


@pytest.mark.parametrize(("each_channel", "shape"), [(False, ()), (True, (64,))])
def test_constants_are_left_alone_and_values_keep_their_names(graph, each_channel, shape):
    before = ir.load(graph(3))
    after = noisy_graph(before, np.random.default_rng(0), EITHER_NEIGHBOUR, each_channel=each_channel)
    noise = {
        node.name: node.inputs[1].const_value for node in after.graph if str(node.name).endswith("/noise")
    }
    assert sorted(noise) == [f"{name}/noise" for name in ("a", "b", "difference", "large", "y")]
    assert {tuple(factor.shape) for factor in noise.values()} == {shape}
    assert [value.name for value in after.graph.outputs] == ["y"]


def test_a_unit_up_or_down_moves_every_value(graph):
    path = graph(0)
    noisy = noisy_graph(ir.load(path), np.random.default_rng(0), UP_OR_DOWN)
    moved, expected = (
        OnnxExecutor(noisy, ["a"])(FEEDS[0])["a"],
        OnnxExecutor(ir.load(path), ["a"])(FEEDS[0])["a"],
    )
    assert (moved[expected > 1e-3] != expected[expected > 1e-3]).all()
