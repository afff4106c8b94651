import numpy as np
import pytest

from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.normalize.eliminate_noop import EliminateNoop


@pytest.mark.parametrize(
    "noop",
    [
        "Reshape(x, same)",
        "Transpose<perm=[0,1]>(x)",
        "Cast<to=1>(x)",
        "Mul(x, one)",
        "Expand(x, same)",
    ],
)
def test_nodes_that_change_nothing_go(noop, model_from, same_graph, parity):
    constants = "<int64[2] same = {2,3}, float one = {1.0}>"
    text = f"g (float[2,3] x) => (float[2,3] y) {constants} {{ float[2,3] n = {noop}  y = Neg(n) }}"
    model = model_from(f"g (float[2,3] x) => (float[2,3] y) {constants} {{ n = {noop}  y = Neg(n) }}")
    value = model.graph[0].outputs[0]
    value.shape, value.type = model.graph.inputs[0].shape, model.graph.inputs[0].type
    assert EliminateNoop()(model).modified, text
    same_graph(model, model_from("g (float[2,3] x) => (float[2,3] y) { y = Neg(x) }"))


@pytest.mark.parametrize(
    ("op", "bound"), [("Max(x, c)", -np.inf), ("Max(c, x)", -np.inf), ("Min(x, c)", np.inf)]
)
def test_an_infinite_bound_goes(op, bound, model_from, same_graph):
    text = f"g (float[2,3] x, float c) => (float[2,3] y) {{ n = {op}  y = Neg(n) }}"
    model = model_from(text, {"c": np.asarray(bound, np.float32)})
    model.graph[0].outputs[0].shape = model.graph.inputs[0].shape
    assert EliminateNoop()(model).modified
    EliminateDeadNodes()(model)
    same_graph(model, model_from("g (float[2,3] x) => (float[2,3] y) { y = Neg(x) }"))


@pytest.mark.parametrize(
    "useful", ["Transpose<perm=[1,0]>(x)", "Cast<to=10>(x)", "Mul(x, two)", "Max(x, two)"]
)
def test_nodes_that_do_something_stay(useful, model_from):
    kind = "float16" if "Cast" in useful else "float"
    text = f"g (float[3,3] x) => ({kind}[3,3] y) <float two = {{2.0}}> {{ n = {useful}  y = Neg(n) }}"
    model = model_from(text)
    value = model.graph[0].outputs[0]
    value.shape, value.type = model.graph.inputs[0].shape, model.graph.outputs[0].type
    assert not EliminateNoop()(model).modified


def test_a_graph_output_keeps_its_name(model_from):
    model = model_from("g (float[2,3] x) => (float[2,3] y) { y = Transpose<perm=[0,1]>(x) }")
    assert not EliminateNoop()(model).modified
    assert [value.name for value in model.graph.outputs] == ["y"]


@pytest.mark.parametrize(("step", "kept"), [(1, False), (-1, True)])
def test_a_slice_that_turns_an_axis_round_stays(step, kept, model_from):
    start, end = (0, 100) if step > 0 else (-1, -100)
    bounds = (
        f"<int64[1] s = {{{start}}}, int64[1] e = {{{end}}}, int64[1] a = {{1}}, int64[1] t = {{{step}}}>"
    )
    model = model_from(
        f"g (float[2,3] x) => (float[2,3] y) {bounds} {{ n = Slice(x, s, e, a, t)  y = Neg(n) }}"
    )
    value = model.graph[0].outputs[0]
    value.shape, value.type = model.graph.inputs[0].shape, model.graph.inputs[0].type
    assert EliminateNoop()(model).modified != kept
