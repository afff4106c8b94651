"""Writes a component's C file (static memory plan and call sequence) and header (its whole C ABI)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jinja2

from program.model_names import c_text
from program.program import TensorSpec
from targets.tvm.call_sequence import CallSequence, TensorView, aligned, item_bytes

_TYPE_CODES = {"int": 0, "uint": 1, "float": 2, "bool": 6}
"""DLDataTypeCode of the DLPack standard."""

_CONSTANTS_PER_LINE = 16

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("targets.tvm", "templates"),
    autoescape=False,  # noqa: S701 (C, not HTML)
    # names of inputs and outputs are the model's own, and stand in comments
    finalize=lambda value: c_text(value) if isinstance(value, str) else value,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclasses.dataclass(frozen=True)
class ComponentCode:
    """What the C files are made of.

    Attributes:
        name: Component name, `[a-z0-9_]+`.
        sequence: Calls.
        inputs: Graph inputs.
        outputs: Graph outputs.
        workspace_bytes: Scratch memory kernels need, added to the arena.
        weight_bytes: Least size of the weights file.
    """

    name: str
    sequence: CallSequence
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    workspace_bytes: int
    weight_bytes: int

    @property
    def arena_bytes(self) -> int:
        """Planned memory plus kernel scratch memory; never 0, so that it can be an array."""
        return max(self.sequence.arena_bytes + self.workspace_bytes, 1)


def render_header(code: ComponentCode) -> str:
    """The header: run function, sizes, and the signature as macros and comments."""
    return _environment.get_template("component.h.j2").render(_context(code))


def render_source(code: ComponentCode) -> str:
    """The C file that calls the kernels."""
    shapes = _Table("shape")
    calls = [
        {
            "kernel": call.kernel,
            "arguments": [_argument(view, shapes) for view in call.arguments],
        }
        for call in code.sequence.calls
    ]
    copies = [
        {"to": _address(to), "source": _address(source), "nbytes": to.nbytes}
        for to, source in code.sequence.copies
    ]
    context = _context(code) | {
        "calls": calls,
        "copies": copies,
        "kernels": sorted({call.kernel for call in code.sequence.calls}),
        "shapes": shapes.rows,
        "constants": _byte_lines(code.sequence.constants),
        "planned_bytes": code.sequence.arena_bytes,
    }
    return _environment.get_template("component.c.j2").render(context)


def _context(code: ComponentCode) -> dict[str, Any]:
    return {
        "name": code.name,
        "macro": code.name.upper(),
        "arena_bytes": code.arena_bytes,
        "weight_bytes": code.weight_bytes,
        "inputs": code.inputs,
        "outputs": code.outputs,
    }


class _Table:
    """Distinct rows, each under a number."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers: dict[tuple[int, ...], int] = {}

    def __call__(self, row: tuple[int, ...]) -> str:
        return f"{self._name}_{self._numbers.setdefault(row, len(self._numbers))}"

    @property
    def rows(self) -> list[tuple[str, str]]:
        return [(f"{self._name}_{n}", ", ".join(map(str, row or (1,)))) for row, n in self._numbers.items()]


def _argument(view: TensorView, shapes: _Table) -> dict[str, Any]:
    kind = view.dtype.rstrip("0123456789")
    return {
        "address": _address(view),
        "rank": len(view.shape),
        "code": _TYPE_CODES[kind],
        "bits": item_bytes(view.dtype) * 8,
        "shape": shapes(view.shape),
        "strides": shapes(_strides(view.shape)),
    }


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    strides = [1]
    for extent in reversed(shape[1:]):
        strides.insert(0, strides[0] * extent)
    return tuple(strides[: len(shape)])


def _address(view: TensorView) -> str:
    base, offset = view.region.base, view.region.offset
    if base in ("input", "output"):
        return f"{base}s[{offset}]"
    names = {"weight": "weights_base", "constant": "constants", "arena": "arena_base"}
    return f"{names[base]} + {offset}"


def _byte_lines(data: bytes) -> Iterable[str]:
    padded = data or b"\0"
    starts = range(0, len(padded), _CONSTANTS_PER_LINE)
    return [", ".join(map(str, padded[start : start + _CONSTANTS_PER_LINE])) for start in starts]


def render_runner_config(code: ComponentCode) -> str:
    """The header that tells the runner program which component it runs."""
    context = _context(code) | {
        "input_bytes": max(sum(aligned(spec.nbytes) for spec in code.inputs), 1),
        "output_bytes": max(sum(aligned(spec.nbytes) for spec in code.outputs), 1),
    }
    return _environment.get_template("runner_config.h.j2").render(context)
