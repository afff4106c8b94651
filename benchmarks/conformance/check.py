"""Puts one case through npuc's own path, from the file to the emulated program, and judges what comes out."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from benchmarks.conformance.cases import Array, Case
from exporter.sources import open_source
from npuc.artifact.weights_file import WEIGHTS_NAME, write_weights
from passes.float.precision import PrecisionPolicy
from passes.integer.quantised_graph import is_quantised
from passes.pipeline import (
    NORMALISATION,
    QUANTISED_NORMALISATION,
    directly_read_weights,
    normalize,
    quantize,
)
from program.errors import DiagnosticError
from program.number_format import Format
from program.program import Component
from targets.contract.registry import find_target
from targets.devices.device import Device
from targets.errors import ExecutionError

RIGHT, REFUSED, WRONG, INTERNAL = "right", "refused", "wrong", "internal error"

HALF_STEPS = 2.0**-9
"""Relative bound of float16 results: two of its steps."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: `RIGHT`, `REFUSED`, `WRONG` or `INTERNAL`.
        detail: Why, in a line.
        seconds: Spent on it.
    """

    kind: str
    detail: str = ""
    seconds: float = 0.0


def check(case: Case, device: Device, limit_s: int) -> Outcome:
    """Compiles and runs a case.

    Args:
        case: To check.
        device: Whose CPU code is emulated.
        limit_s: Seconds it may take.
    """
    start = time.monotonic()
    try:
        with _limited(limit_s), TemporaryDirectory(prefix="npuc-conformance-") as folder:
            wrong = _compare(case, _run(case, device, Path(folder)))
        kind, detail = (WRONG, wrong) if wrong else (RIGHT, "")
    except ExecutionError as error:
        kind, detail = INTERNAL, _line(error)
    except DiagnosticError as error:
        kind, detail = REFUSED, _reason(error)
    except Exception as error:  # what no one expected is what is looked for
        kind, detail = INTERNAL, f"{type(error).__name__}: {_line(error)}"
    return Outcome(kind, detail, time.monotonic() - start)


def _run(case: Case, device: Device, folder: Path) -> dict[str, Array]:
    path = folder / "model.onnx"
    onnx.save(case.model, path)
    program = open_source(path)
    keep = directly_read_weights(program)
    (component,) = program.components.values()
    names = QUANTISED_NORMALISATION if is_quantised(component.model) else NORMALISATION
    normalize(component, keep, names)
    quantize(component, PrecisionPolicy(base=_base(component), by_modality={}), {})
    write_weights(program.components, folder)
    return _execute(component, device, folder, case.feeds)


def _base(component: Component) -> Format:
    """float32, except for graphs that are float16 themselves."""
    graph = component.model.graph
    values = (*graph.inputs, *graph.initializers.values())
    halves = any(value.dtype == ir.DataType.FLOAT16 for value in values)
    return Format.FLOAT16 if halves else Format.FLOAT32


def _execute(component: Component, device: Device, folder: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    target = find_target(device.target)
    weights = folder / WEIGHTS_NAME
    lowered = target.lower(component, device, weights, folder)
    given = {spec.name: np.asarray(feeds[spec.name]).view(spec.numpy_dtype) for spec in component.inputs}
    with target.execute(component, lowered, folder, weights) as execute:
        return execute(given)


def _compare(case: Case, results: dict[str, Array]) -> str:
    """Says what is wrong; empty where everything is right."""
    for value, expected in zip(case.model.graph.output, case.expected, strict=True):
        wanted, got = np.asarray(expected), results[value.name]
        if got.shape != wanted.shape:
            return f"{value.name} has shape {got.shape}, not {wanted.shape}"
        if not _agrees(wanted, got, case):
            return f"{value.name} differs: {_difference(wanted, got)}"
    return ""


def _agrees(wanted: Array, got: Array, case: Case) -> bool:
    if wanted.dtype.kind in "iub" and got.dtype.kind in "iub":
        return bool(np.array_equal(wanted, got))
    left, right = wanted.astype(np.float64), got.astype(np.float64)
    rtol = max(case.rtol, HALF_STEPS) if wanted.dtype == np.float16 else case.rtol
    return bool(np.allclose(right, left, rtol=rtol, atol=case.atol, equal_nan=True))


def _difference(wanted: Array, got: Array) -> str:
    left, right = wanted.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = ~((left == right) | (np.isnan(left) & np.isnan(right)))
        order = np.argsort(-np.where(apart, np.nan_to_num(np.abs(left - right), nan=np.inf), -1), axis=None)
    place = order[0]
    return f"{got.reshape(-1)[place]} for {wanted.reshape(-1)[place]} in {int(apart.sum())} of {apart.size}"


def _reason(error: DiagnosticError) -> str:
    """The first line, and of a coverage table the reasons."""
    received = [" ".join(line.split()) for line in error.received.strip().splitlines()]
    return f"{error.what}: {'; '.join(received)}"[:300] if received else error.what


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else ""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
