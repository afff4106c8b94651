"""Builds small graphs from ONNX text, and compares graphs and their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role

HEADER = '<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]>'


def make_model(text: str, weights: Mapping[str, np.ndarray] | None = None) -> ir.Model:
    """Parses `graph (inputs) => (outputs) <initializers> { nodes }`; inputs named in `weights` become initializers."""
    model = ir.from_onnx_text(f"{HEADER} {text}")
    free = {value.name: value for value in model.graph.inputs if weights and value.name in weights}
    for name, value in free.items():
        array = weights[name]
        value.const_value = ir.tensor(array, name=name)
        value.shape = ir.Shape(array.shape)
        model.graph.inputs.remove(value)
        model.graph.register_initializer(value)
    for index, node in enumerate(model.graph):
        node.name = node.name or f"{node.op_type.lower()}_{index}"
    return model


def seeded_feeds(model: ir.Model, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.inputs:
        shape = value.shape.numpy()
        if value.dtype == ir.DataType.INT64:
            feeds[value.name] = rng.integers(0, 4, shape)
        elif value.dtype == ir.DataType.BOOL:
            feeds[value.name] = rng.random(shape) < 0.7
            feeds[value.name][..., 0] = True
        else:
            feeds[value.name] = rng.standard_normal(shape).astype(value.dtype.numpy())
    return feeds


def assert_parity(before: ir.Model, after: ir.Model, atol: float = 1e-5) -> float:
    """Both graphs give the same outputs for two seeded inputs; returns the largest difference."""
    largest = 0.0
    for seed in (0, 1):
        feeds = seeded_feeds(before, seed)
        expected, received = OnnxExecutor(before)(feeds), OnnxExecutor(after)(feeds)
        assert sorted(expected) == sorted(received)
        for name, values in expected.items():
            assert values.dtype == received[name].dtype
            np.testing.assert_allclose(received[name], values, atol=atol, rtol=0, err_msg=name)
            largest = max(largest, float(np.max(np.abs(received[name] - values), initial=0)))
    return largest


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def assert_same_graph(model: ir.Model, expected: ir.Model) -> None:
    """Same operators, attributes and connections, whatever the names of intermediate values."""
    assert ops(model) == ops(expected)
    ours, theirs = _numbered(model), _numbered(expected)
    for node, other in zip(model.graph, expected.graph, strict=True):
        assert [ours.get(v) for v in node.inputs] == [theirs.get(v) for v in other.inputs], node
        left = {k: a.value for k, a in node.attributes.items()}
        right = {k: a.value for k, a in other.attributes.items()}
        assert _plain(left) == _plain(right), node


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple | list) else v for key, v in attributes.items()}


def _numbered(model: ir.Model) -> dict[Any, Any]:
    """Inputs by name, constants by value, results by the position of their node."""
    numbers: dict[Any, Any] = {None: None}
    for value in model.graph.inputs:
        numbers[value] = value.name
    for value in model.graph.initializers.values():
        array = value.const_value.numpy()
        numbers[value] = ("constant", array.dtype.name, array.shape, array.tobytes())
    for position, node in enumerate(model.graph):
        for index, value in enumerate(node.outputs):
            numbers[value] = (position, index)
    return numbers


@pytest.fixture
def model_from() -> Callable[..., ir.Model]:
    return make_model


@pytest.fixture
def parity() -> Callable[..., float]:
    return assert_parity


@pytest.fixture
def same_graph() -> Callable[..., None]:
    return assert_same_graph


@pytest.fixture
def feeds_for() -> Callable[..., dict[str, np.ndarray]]:
    return seeded_feeds


@pytest.fixture
def component_of() -> Callable[..., Component]:
    def make(model: ir.Model, name: str = "part", modality: Modality = Modality.TEXT) -> Component:
        return Component(name, Role.MODEL, modality, model)

    return make
