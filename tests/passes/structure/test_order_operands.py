import numpy as np
import pytest

from passes.structure.order_operands import OrderOperands

CONSTANT = {"c": np.arange(8, dtype=np.float32)}
TEXT = "g (float[2,8] x, float[8] c) => (float[2,8] y) {{ y = {}({}) }}"


@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_the_constant_comes_second(op, model_from, same_graph, parity):
    before, model = (model_from(TEXT.format(op, "c, x"), CONSTANT) for _ in range(2))
    assert OrderOperands()(model).modified
    same_graph(model, model_from(TEXT.format(op, "x, c"), CONSTANT))
    parity(before, model, atol=0)


@pytest.mark.parametrize(("op", "operands"), [("Sub", "c, x"), ("Mul", "x, c"), ("Mul", "x, x")])
def test_other_operators_and_orders_stay(op, operands, model_from):
    assert not OrderOperands()(model_from(TEXT.format(op, operands), CONSTANT)).modified
