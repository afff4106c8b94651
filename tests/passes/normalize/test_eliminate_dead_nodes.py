from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes

BEFORE = """g (float[2] x) => (float[2] y) {
  i = Identity(x)  a = Exp(i)  b = Exp(x)  dead = Neg(b)  y = Add(a, b)
}"""
EXPECTED = "g (float[2] x) => (float[2] y) { a = Exp(x)  y = Add(a, a) }"


def test_identity_repetition_and_dead_code_go(model_from, same_graph, parity):
    model = model_from(BEFORE)
    assert EliminateDeadNodes()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(model_from(BEFORE), model)
    assert not EliminateDeadNodes()(model).modified
