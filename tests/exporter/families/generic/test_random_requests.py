import numpy as np
import onnx_ir as ir
import pytest

from exporter.families.generic.index_ranges import index_ranges
from exporter.families.generic.random_requests import drawing, edge_requests, random_requests
from exporter.options import CaptureOptions
from program.program import TensorSpec

EMBEDDING = """<ir_version: 10, opset_import: ["": 23]>
g (int64[1,5] ids, bool[1,5] keep, float[1,5,3] x, uint8[2] codes) => (float[1,5,3] y)
   <float[7,3] table = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}, int64 zero = {0}, int64 rows = {7}> {
   negative = Less(ids, zero)
   moved = Add(ids, rows)
   index = Where(negative, moved, ids)
   y = Gather(table, index)
}"""


@pytest.fixture
def graph():
    return ir.from_onnx_text(EMBEDDING).graph


@pytest.fixture
def inputs():
    return (
        TensorSpec("ids", ir.DataType.INT64, (1, 5)),
        TensorSpec("keep", ir.DataType.BOOL, (1, 5)),
        TensorSpec("x", ir.DataType.FLOAT, (1, 5, 3)),
        TensorSpec("codes", ir.DataType.UINT8, (2,)),
    )


def test_an_index_reaches_as_far_as_its_table(graph):
    assert index_ranges(graph) == {"ids": (0, 6)}


def test_integers_are_drawn_from_what_they_index(graph, inputs):
    draw = drawing(graph, inputs, 0, {})
    requests = random_requests(draw, CaptureOptions(requests=40), {})
    assert {int(i) for request in requests for i in request.tensors["ids"].flat} == set(range(7))
    assert max(int(request.tensors["codes"].max()) for request in requests) > 200
    assert all(request.tensors["keep"].dtype == bool for request in requests)


def test_an_example_comes_first_and_bounds_what_indexes_nothing(graph, inputs):
    example = {spec.name: np.ones(spec.shape, spec.numpy_dtype) for spec in inputs}
    example["codes"] = np.array([3, 5], np.uint8)
    draw = drawing(graph, inputs, 0, example)
    requests = random_requests(draw, CaptureOptions(requests=8), example)
    assert (requests[0].tensors["x"] == 1).all()
    assert {int(i) for request in requests for i in request.tensors["codes"]} <= {3, 4, 5}


def test_the_edges_are_there_each_with_one_thing_special(graph, inputs):
    edges = {edge.name: edge for edge in edge_requests(drawing(graph, inputs, 0, {}))}
    tensors = {name: edge.request.tensors for name, edge in edges.items()}
    assert not tensors["floats are 0"]["x"].any()
    assert (tensors["floats are 1"]["x"] == 1).all()
    assert (tensors["floats are negative"]["x"] < 0).all()
    assert np.abs(tensors["floats are small"]["x"]).max() < 0.1
    assert np.abs(tensors["floats are large"]["x"]).max() > 100
    assert not tensors["masks are all 0"]["keep"].any()
    assert tensors["masks are all 1"]["keep"].all()
    assert 0 < tensors["masks are 0 and 1"]["keep"].mean() < 1
    assert (tensors["lowest integers"]["ids"] == 0).all()
    assert (tensors["highest integers"]["ids"] == 6).all()
    assert (tensors["highest integers"]["codes"] == 255).all()
    assert [name for name, edge in edges.items() if not edge.usual] == ["floats are large"]
    for name, values in tensors.items():
        for spec in inputs:
            assert values[spec.name].dtype == spec.numpy_dtype, name
            assert values[spec.name].shape == spec.shape, name


def test_a_model_without_floats_has_no_edges_of_floats(graph, inputs):
    edges = edge_requests(drawing(graph, inputs[:1], 0, {}))
    assert [edge.name for edge in edges] == ["lowest integers", "highest integers"]


def test_the_same_seed_draws_the_same(graph, inputs):
    first, second = (edge_requests(drawing(graph, inputs, 3, {})) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(one.request.tensors[n], other.request.tensors[n]) for n in ("x", "ids"))


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E5M2, ir.DataType.INT4])
def test_types_that_numpy_lacks_are_drawn_from_0_and_1(dtype):
    graph = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["": 23]> g (float[2] x) => (float[2] y) { y = Neg(x) }'
    ).graph
    draw = drawing(graph, (TensorSpec("x", dtype, (8,)),), 0, {})
    (request,) = random_requests(draw, CaptureOptions(requests=1), {})
    assert request.tensors["x"].dtype == dtype.numpy()
    assert set(request.tensors["x"].astype(np.float32).tolist()) <= {0.0, 1.0}


def test_large_inputs_have_fewer_requests(graph, monkeypatch, inputs):
    monkeypatch.setattr("exporter.families.generic.random_requests.MAX_BYTES", 350)
    draw = drawing(graph, inputs, 0, {})  # 40 + 5 + 60 + 2 bytes a request
    assert len(random_requests(draw, CaptureOptions(requests=8), {})) == 3
    assert len(edge_requests(draw)) == 3
    monkeypatch.setattr("exporter.families.generic.random_requests.MAX_BYTES", 1)
    assert len(random_requests(draw, CaptureOptions(requests=8), {})) == 1
