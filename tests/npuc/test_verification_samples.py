"""How many recorded inputs are kept for verification."""

import dataclasses

import numpy as np
import pytest

from npuc.stages.capture.verification_samples import affordable_edges, verification_samples
from program.program import Edge, Request
from targets.placing.estimate import operations
from tests.two_layers import float_program


@pytest.fixture
def program():
    return float_program()


def _feeds(count):
    return [{"x": np.full(2, index, np.float32)} for index in range(count)]


def _kept(program, count, most):
    (name,) = program.components
    chosen = verification_samples(program, {name: _feeds(count)}, most)[name]
    return [int(feed["x"][0]) for feed in chosen]


def _operations(program):
    """Multiply-accumulates and values of a call, found by asking for exactly one more sample."""
    return next(most for most in range(1, 100_000) if len(_kept(program, 2, most)) == 2) // 2


def test_all_are_kept_where_they_are_cheap(program):
    assert _kept(program, 6, 10**10) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("calls", "kept"), [(0.5, [0]), (1, [0]), (2, [0, 5]), (3.9, [0, 2, 5]), (6, [0, 1, 2, 3, 4, 5])]
)
def test_the_bound_is_on_the_operations_of_all(program, calls, kept):
    assert _kept(program, 6, int(calls * _operations(program))) == kept


def test_a_larger_component_keeps_fewer(program):
    (name, component), *_ = program.components.items()
    both = dataclasses.replace(program, components={name: component, "empty": component})
    kept = verification_samples(both, {name: _feeds(4), "empty": []}, 1)
    assert {key: len(samples) for key, samples in kept.items()} == {name: 1, "empty": 0}


def test_as_many_edges_as_are_affordable_and_none_of_unusual_size(program):
    edges = tuple(Edge(str(index), Request(), usual=index != 1) for index in range(5))
    small = dataclasses.replace(program, edges=edges)
    each = sum(operations(node) for node in next(iter(program.components.values())).model.graph)
    assert each
    assert [edge.name for edge in affordable_edges(small, 3 * each)] == ["0", "2", "3"]
    assert affordable_edges(small, each - 1) == []
