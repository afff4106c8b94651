"""Makes a program of one captured component, with seeded calibration requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.families.generic.recorded_requests import recorded_requests
from exporter.families.generic.runner import COMPONENT
from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.program import Array, Component, Modality, Program, Request, TensorSpec
from exporter.provenance import package_versions

__all__ = ["COMPONENT", "generic_program", "guess_modality", "random_requests"]


def generic_program(
    component: Component, source: Path, options: CaptureOptions, example: Mapping[str, Array] | None = None
) -> Program:
    """Wraps a component.

    Args:
        component: Named `COMPONENT`.
        source: The file it was made from.
        options: Calibration inputs, or seed and number of synthetic ones.
        example: Real inputs; they become the first request, and integer inputs are drawn from their range.
    """
    inputs = component.inputs
    recorded = () if options.calibration is None else recorded_requests(options.calibration, inputs)
    return Program(
        family="generic",
        components={COMPONENT: component},
        settings={"dtype": options.dtype},
        assets={},
        requests=recorded or random_requests(inputs, options, example or {}),
        provenance={
            "source": source.name,
            "files": {source.name: ModelFolder(source.parent).sha256(source.name)},
            "versions": package_versions(),
        },
    )


def guess_modality(inputs: Sequence[TensorSpec]) -> Modality:
    """Pictures have four axes; everything else is treated as text. A recipe can say otherwise."""
    return Modality.VISION if any(len(spec.shape) == 4 for spec in inputs) else Modality.TEXT


def random_requests(
    inputs: Sequence[TensorSpec], options: CaptureOptions, example: Mapping[str, Array]
) -> tuple[Request, ...]:
    """Requests with random tensors: floats normal(0, 1), integers from the range seen in `example` (else 0 or 1).

    Args:
        inputs: What to fill.
        options: Seed and number.
        example: Arrays by input name; if all inputs are there, they are the first request.
    """
    rng = np.random.default_rng(options.seed)
    requests = [
        Request(tensors={spec.name: _random(rng, spec, example.get(spec.name)) for spec in inputs})
        for _ in range(options.requests)
    ]
    if all(spec.name in example for spec in inputs):
        tensors = {spec.name: example[spec.name].astype(spec.numpy_dtype) for spec in inputs}
        requests[0] = Request(tensors=tensors)
    return tuple(requests)


def _random(rng: np.random.Generator, spec: TensorSpec, example: Array | None) -> Array:
    if spec.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16):
        return rng.standard_normal(spec.shape).astype(spec.numpy_dtype)
    low, high = (0, 1) if example is None or not example.size else (int(example.min()), int(example.max()))
    drawn: np.ndarray[Any, Any] = rng.integers(low, high + 1, spec.shape)
    return drawn.astype(spec.numpy_dtype)
