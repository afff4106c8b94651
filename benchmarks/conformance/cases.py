"""The tests of single operators that come with the package `onnx`, and the same ones with constant inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

Array = Any

INPUTS, CONSTANTS = "with inputs", "with constants"
VARIANTS = (INPUTS, CONSTANTS)
"""Every input of a test is an input of the model, or all but the first float one are constants."""

_RANDOM = frozenset(
    {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"}
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One model with what it is fed and what it must return.

    Attributes:
        name: Of the test.
        variant: One of `VARIANTS`.
        operator: What is tested, with its domain unless that is ai.onnx.
        model: As the standard gives it, or with constants.
        feeds: By input name.
        expected: Arrays in the order of the outputs.
        rtol: The test's own bound.
        atol: The same, absolute.
        excluded: Why the test is none of a static compiler's; empty where it is one.
    """

    name: str
    variant: str
    operator: str
    model: onnx.ModelProto
    feeds: dict[str, Array]
    expected: Sequence[Array]
    rtol: float
    atol: float
    excluded: str = ""

    @property
    def key(self) -> str:
        """Names the case in the record of results."""
        return f"{self.name} {self.variant}"


def cases(operators: Sequence[str] = (), names: Sequence[str] = ()) -> Iterator[Case]:
    """Yields the cases in a fixed order, each test once for each variant that differs.

    Args:
        operators: Only those of these operators; all of them for none.
        names: Only these tests; all of them for none.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        tests = {test.name: test for test in collect_testcases(None)}
    for name in sorted(tests):
        case = _case(tests[name], tests.get(name.partition("_expanded")[0], tests[name]))
        if (operators and case.operator not in operators) or (names and name not in names):
            continue
        yield case
        if not case.excluded:
            constant = _with_constants(case)
            if constant is not None:
                yield constant


def _case(test: Any, compact: Any) -> Case:
    model = test.model
    inputs, outputs = test.data_sets[0] if test.data_sets else ([], [])
    names = [value.name for value in model.graph.input]
    return Case(
        name=test.name,
        variant=INPUTS,
        operator=_operator(test.name, compact.model),
        model=model,
        feeds=dict(zip(names, map(_array, inputs), strict=False)),
        expected=[_array(output) for output in outputs],
        rtol=test.rtol,
        atol=max(test.atol, 1e-5),
        excluded=_excluded(model, inputs, outputs),
    )


def _array(data: Any) -> Any:
    """Tests of types that numpy lacks bring protocol buffers."""
    return numpy_helper.to_array(data) if isinstance(data, onnx.TensorProto) else data


def _operator(name: str, model: onnx.ModelProto) -> str:
    """The operator under test; of a test in which a function is written out, that of the test it was made from."""
    node = model.graph.node[0] if model.graph.node else onnx.NodeProto()
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
    return f"{operator}, written out" if "_expanded" in name else operator


def _excluded(model: onnx.ModelProto, inputs: Sequence[Array], outputs: Sequence[Array]) -> str:
    if any(node.op_type in _RANDOM for node in model.graph.node):
        return "random"
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            return "sequences, optional values and maps"
        if value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
            return "strings"
    if not inputs and not outputs:
        return "no data"
    if any(not _is_static(value) for value in model.graph.input):
        return "dynamic shapes"
    return ""


def _is_static(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim)


def _with_constants(case: Case) -> Case | None:
    """The same test with every input but the first float one made constant; None where there is nothing to make."""
    floats = [name for name, array in case.feeds.items() if np.asarray(array).dtype.kind == "f"]
    kept = floats[0] if floats else next(iter(case.feeds), "")
    constants = [value for value in case.model.graph.input if value.name != kept]
    if not constants:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.input[:]
    model.graph.input.extend(value for value in case.model.graph.input if value.name == kept)
    for value in constants:
        tensor = numpy_helper.from_array(np.asarray(case.feeds[value.name]), value.name)
        model.graph.initializer.append(tensor)
    feeds = {kept: case.feeds[kept]}
    return dataclasses.replace(case, variant=CONSTANTS, model=model, feeds=feeds)
