import numpy as np

from passes.core.infer_shapes import InferShapes
from passes.structure.fold_input_free import FoldInputFree

BEFORE = """g (float[4,8] x, float[4,8] latents, float[8] w, float[8,8] k) => (float[4,8] y)
{ n = RMSNormalization(latents, w)  q = MatMul(n, k)  r = Add(latents, q)  a = Add(x, r)  y = Mul(a, q) }"""


def weights():
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in (("latents", (4, 8)), ("w", (8,)), ("k", (8, 8)))
    }


def made(model_from):
    model = model_from(BEFORE, weights())
    InferShapes()(model)
    return model


def test_results_that_no_input_reaches_are_stored(model_from, same_graph, parity):
    before, model = made(model_from), made(model_from)
    step = FoldInputFree("part")
    assert step(model).modified
    values = {name: model.graph.initializers[f"part/{name}.value"].const_value.numpy() for name in "rq"}
    expected = (
        "g (float[4,8] x, float[4,8] r, float[4,8] q) => (float[4,8] y) { a = Add(x, r)  y = Mul(a, q) }"
    )
    same_graph(model, model_from(expected, values))
    parity(before, model)
    assert [remark.node for remark in step.remarks] == ["matmul_1", "add_2"]


def test_a_second_run_finds_nothing(model_from):
    model = made(model_from)
    FoldInputFree("part")(model)
    assert not FoldInputFree("part")(model).modified


def test_large_weights_and_large_results_stay(model_from):
    assert not FoldInputFree("part", input_limit=16)(made(model_from)).modified
    assert not FoldInputFree("part", output_limit=16)(made(model_from)).modified


def test_a_constant_output_stays(model_from):
    text = "g (float[2] x, float[2] c) => (float[2] y, float[2] z) { y = Add(x, c)  z = Neg(c) }"
    assert not FoldInputFree("part")(model_from(text, {"c": np.ones(2, np.float32)})).modified
