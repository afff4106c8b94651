"""Chooses activation scales of a component."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

import onnx_ir as ir

from passes.core.errors import PassError
from passes.float.calibration.absmax import absmax
from passes.float.calibration.least_error import least_error
from passes.float.calibration.observe import observe
from passes.float.calibration.percentile import percentile
from passes.float.calibration.statistics import Statistics
from passes.float.insert_fp8_qdq import quantised_inputs
from passes.float.precision import PrecisionPolicy
from program.number_format import Format
from program.program import Feeds

Method = Callable[[Statistics, Format], float]
"""Chooses the scale of one tensor for one format."""

METHODS = ("absmax", "percentile", "least_error")


def calibration_method(name: str, share: float = 99.99) -> Method:
    """Returns a calibration method.

    Args:
        name: One of `METHODS`.
        share: For `percentile`, in percent.

    Raises:
        PassError: There is no such method.
    """
    methods: Mapping[str, Method] = {
        "absmax": absmax,
        "percentile": functools.partial(percentile, share=share),
        "least_error": least_error,
    }
    if name not in methods:
        raise PassError(
            "unknown calibration method", received=name, remedy=f"use one of {', '.join(METHODS)}"
        )
    return methods[name]


def choose_scales(
    statistics: Mapping[str, Statistics], needed: Iterable[tuple[str, Format]], method: Method
) -> dict[tuple[str, Format], float]:
    """Returns a scale for each (tensor, format)."""
    return {(name, fmt): method(statistics[name], fmt) for name, fmt in needed}


def calibrate(
    model: ir.Model, feeds: Iterable[Feeds], policy: PrecisionPolicy, method: Method
) -> dict[tuple[str, Format], float]:
    """Runs a component and chooses the scale of every activation its policy quantises.

    Args:
        model: The normalised graph, before conversion and quantisation.
        feeds: Inputs of each calibration run.
        policy: Which layer gets which format.
        method: See `calibration_method`.

    Returns:
        (tensor name, FP8 format) → scale; empty, without a run, where nothing is quantised.
    """
    needed = quantised_inputs(model, policy)
    if not needed:
        return {}
    return choose_scales(observe(model, feeds, {name for name, _ in needed}), needed, method)
