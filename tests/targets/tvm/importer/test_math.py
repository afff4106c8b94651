"""Elementary functions over their whole range, against float64."""

import numpy as np
import pytest
from scipy import special

from tests.targets.support import make_component

_SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3e38], np.float32)
_WIDE = np.concatenate([np.linspace(-110, 110, 4089), _SPECIAL]).astype(np.float32)
_FUNCTIONS = {
    "Exp": (np.exp, 4e-7),
    "Log": (np.log, 4e-7),
    "Erf": (special.erf, 4e-7),
    "Tanh": (np.tanh, 4e-7),
    "Sigmoid": (special.expit, 4e-7),
}


@pytest.fixture(scope="module")
def values(build):
    outputs = ", ".join(f"y{name}" for name in _FUNCTIONS)
    nodes = " ".join(f"y{name} = {name}(x)" for name in _FUNCTIONS)
    nodes += " ySin = Sin(x) yCos = Cos(x)"
    built = build(make_component(f"(float[{_WIDE.size}] x) => ({outputs}, ySin, yCos) {{ {nodes} }}"))
    return built.run({"x": _WIDE})


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_function_is_within_a_few_rounding_steps(values, name):
    function, bound = _FUNCTIONS[name]
    with np.errstate(all="ignore"):
        exact = function(_WIDE.astype(np.float64)).astype(np.float32)
    actual = values[f"y{name}"]
    ordinary = np.isfinite(exact) & (np.abs(exact) > 2e-38)
    np.testing.assert_allclose(actual[ordinary], exact[ordinary], rtol=bound)
    rest = ~ordinary & ~np.isfinite(exact)
    np.testing.assert_array_equal(actual[rest], exact[rest])
    assert np.all(np.abs(actual[np.abs(exact) <= 2e-38]) <= 2e-38)


@pytest.mark.parametrize(("name", "function"), [("Sin", np.sin), ("Cos", np.cos)])
def test_angle_function_is_within_a_few_rounding_steps_of_one(values, name, function):
    usual = np.abs(_WIDE) <= 8192
    np.testing.assert_allclose(
        values[f"y{name}"][usual], function(_WIDE[usual].astype(np.float64)), atol=2e-7
    )
