import numpy as np
import onnx_ir as ir

from passes.normalize.fold_weight_transpose import FoldWeightTranspose
from program.lazy_tensor import BlockwiseTensor

TEXT = (
    "g (float[1,2,6] x, float[4,6] w) => (float[1,2,4] y) { t = Transpose<perm=[1,0]>(w)  y = MatMul(x, t) }"
)
WEIGHT = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)


def test_the_weight_is_stored_transposed(model_from, same_graph, parity):
    model = model_from(TEXT, {"w": WEIGHT})
    assert FoldWeightTranspose()(model).modified
    expected = model_from(
        "g (float[1,2,6] x, float[6,4] w) => (float[1,2,4] y) { y = MatMul(x, w) }", {"w": WEIGHT.T}
    )
    same_graph(model, expected)
    assert list(model.graph.initializers) == ["w.transposed"]
    parity(model_from(TEXT, {"w": WEIGHT}), model)


def test_nothing_is_read_before_it_is_written(model_from, tmp_path):
    (tmp_path / "weights").write_bytes(WEIGHT.tobytes())
    model = model_from(TEXT, {"w": WEIGHT})
    tensor = ir.ExternalTensor(
        "weights", 0, WEIGHT.nbytes, ir.DataType.FLOAT, shape=ir.Shape((4, 6)), name="w", base_dir=tmp_path
    )
    model.graph.initializers["w"].const_value = tensor
    FoldWeightTranspose()(model)
    assert tensor.raw is None
    folded = model.graph.initializers["w.transposed"].const_value
    assert isinstance(folded, BlockwiseTensor)
    assert folded.tobytes() == np.ascontiguousarray(WEIGHT.T).tobytes()


def test_a_weight_read_elsewhere_is_not_stored_twice(model_from, same_graph, parity):
    model = model_from(TEXT, {"w": WEIGHT})
    rewrite = FoldWeightTranspose(keep=frozenset({"w"}))
    rewrite(model)
    expected = """g (float[1,2,6] x, float[4,6] w) => (float[1,2,4] y)
    <int64[2] rows = {2,6}, int64[3] shape = {1,2,4}>
    { r = Reshape(x, rows)  p = Gemm<transB=1>(r, w)  y = Reshape(p, shape) }"""
    same_graph(model, model_from(expected, {"w": WEIGHT}))
    assert tuple(model.graph[0].outputs[0].shape.numpy()) == (2, 6)
    assert "read untransposed" in rewrite.remarks[0].why
    parity(model_from(TEXT, {"w": WEIGHT}), model)


def test_an_embedding_of_the_same_graph_counts_as_read_elsewhere(model_from, parity):
    text = """g (int64[2] ids, float[4,6] w) => (float[2,4] y)
    { e = Gather<axis=0>(w, ids)  t = Transpose<perm=[1,0]>(w)  y = MatMul(e, t) }"""
    model = model_from(text, {"w": WEIGHT})
    model.graph[0].outputs[0].shape = ir.Shape((2, 6))
    FoldWeightTranspose()(model)
    assert [node.op_type for node in model.graph] == ["Gather", "Gemm"]
    parity(model_from(text, {"w": WEIGHT}), model)


def test_a_transposed_weight_that_is_an_output_keeps_its_node(model_from):
    model = model_from("g (float[4,6] w) => (float[6,4] y) { y = Transpose<perm=[1,0]>(w) }", {"w": WEIGHT})
    assert not FoldWeightTranspose()(model).modified
    assert [node.op_type for node in model.graph] == ["Transpose"]
