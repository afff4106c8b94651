"""Code for a chain of operators takes time in proportion to its length; each case did not end before it did."""

import numpy as np
import pytest

from tests.targets.support import make_component, random_feeds


@pytest.mark.parametrize(
    ("operators", "length"),
    [
        (("Relu({x})", "Add({x}, half)", "Mul({x}, half)"), 100),
        (("Sigmoid({x})",), 24),
        (("LeakyRelu({x})",), 40),
    ],
)
def test_a_chain_is_compiled(build, operators, length):
    names = ["x", *(f"v{number}" for number in range(length - 1)), "y"]
    lines = [
        f"{names[number + 1]} = {operators[number % len(operators)].format(x=names[number])}"
        for number in range(length)
    ]
    text = f"(float[2, 16] x) => (float[2, 16] y) {{ {chr(10).join(lines)} }}"
    built = build(make_component(text, {"half": np.float32(0.5)} if len(operators) > 1 else {}))
    feeds = random_feeds(built.component)
    np.testing.assert_allclose(built.run(feeds)["y"], built.reference(feeds)["y"], rtol=1e-5, atol=1e-6)
    assert built.compiled.calls >= length // 16
