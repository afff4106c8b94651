from passes.core.infer_shapes import InferShapes
from passes.normalize.merge_layout import MergeLayout

RESHAPES = """g (float[2,6] x) => (float[4,3] y) <int64[2] a = {3,4}, int64[2] b = {4,-1}>
{ r = Reshape(x, a)  y = Reshape(r, b) }"""
TRANSPOSES = """g (float[2,3,4] x) => (float[3,4,2] y)
{ t = Transpose<perm=[0,2,1]>(x)  y = Transpose<perm=[2,1,0]>(t) }"""


def drop_unused(model):
    for value in tuple(model.graph.initializers.values()):
        if not value.uses():
            del model.graph.initializers[value.name]


def test_the_last_reshape_wins(model_from, same_graph, parity):
    model = model_from(RESHAPES)
    InferShapes()(model)
    assert MergeLayout()(model).modified
    drop_unused(model)
    same_graph(
        model, model_from("g (float[2,6] x) => (float[4,3] y) <int64[2] b = {4,3}> { y = Reshape(x, b) }")
    )
    parity(model_from(RESHAPES), model)


def test_permutations_are_composed(model_from, same_graph, parity):
    model = model_from(TRANSPOSES)
    assert MergeLayout()(model).modified
    same_graph(model, model_from("g (float[2,3,4] x) => (float[3,4,2] y) { y = Transpose<perm=[1,2,0]>(x) }"))
    parity(model_from(TRANSPOSES), model)


def test_a_producer_with_other_users_stays(model_from, parity):
    text = """g (float[2,6] x) => (float[4,3] y, float[3,4] z) <int64[2] a = {3,4}, int64[2] b = {4,3}>
    { r = Reshape(x, a)  y = Reshape(r, b)  z = Neg(r) }"""
    model = model_from(text)
    InferShapes()(model)
    MergeLayout()(model)
    assert [node.op_type for node in model.graph] == ["Reshape", "Reshape", "Neg"]
    parity(model_from(text), model)
