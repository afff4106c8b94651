"""Runs passes over a component, timed and observable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.properties import CHECKED, Property, require
from program.errors import DiagnosticError
from program.program import Component
from program.remark import Remark

OnPass = Callable[[str, ir.Model, float], None]
"""Called after each pass with its name, the model and the seconds it took (`--dump-ir`, timing)."""


class Pass(Protocol):
    """What the runner asks of a pass: an in-place `onnx_ir` pass that collects remarks."""

    remarks: list[Remark]

    @property
    def needs(self) -> tuple[Property, ...]:
        """What must hold before it."""
        ...

    @property
    def gives(self) -> tuple[Property, ...]:
        """What holds behind it."""
        ...

    def __call__(self, model: ir.Model, /) -> ir.passes.PassResult:
        """Rewrites the model in place."""
        ...


def run_passes(component: Component, passes: Iterable[Pass], on_pass: OnPass | None = None) -> list[Remark]:
    """Runs passes in order, in place.

    Args:
        component: The component to rewrite.
        passes: Fresh pass objects.
        on_pass: Observer.

    Returns:
        The remarks of all passes, in order.

    Raises:
        PassError: A pass refused the graph, or failed; names component and pass.
    """
    remarks: list[Remark] = []
    for step in passes:
        name = type(step).__name__
        place = f"component {component.name}, {name}"
        start = time.perf_counter()
        try:
            if CHECKED.get():
                require(component.model, step.needs, f"before {place}")
            step(component.model)
            if CHECKED.get():
                require(component.model, step.gives, f"behind {place}")
        except DiagnosticError as error:
            error.where = f"{place}: {error.where}".rstrip(": ")
            error.args = (error.render(),)
            raise
        except (ir.passes.InvariantError, ir.passes.PassError) as error:
            raise PassError(
                f"{name} failed",
                where=f"component {component.name}",
                received=str(error),
                remedy="report this model",
            ) from error
        seconds = time.perf_counter() - start
        remarks += step.remarks
        if on_pass is not None:
            on_pass(name, component.model, seconds)
    return remarks
