from passes.normalize.canonicalize_axes import CanonicalizeAxes

BEFORE = """g (float[2,3] x) => (float[2,3,1] y) <int64 axis = {2}> { y = Unsqueeze(x, axis) }"""
EXPECTED = """g (float[2,3] x) => (float[2,3,1] y) <int64[1] axis = {2}> { y = Unsqueeze(x, axis) }"""


def test_scalar_axes_become_lists(model_from, same_graph, parity):
    model = model_from(BEFORE)
    assert CanonicalizeAxes()(model).modified
    same_graph_without_unused(model, model_from(EXPECTED), same_graph)
    parity(model_from(EXPECTED), model)


def same_graph_without_unused(model, expected, same_graph):
    for value in tuple(model.graph.initializers.values()):
        if not value.uses():
            del model.graph.initializers[value.name]
    same_graph(model, expected)


def test_lists_stay(model_from):
    assert not CanonicalizeAxes()(model_from(EXPECTED)).modified
