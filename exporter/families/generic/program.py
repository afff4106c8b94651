"""Makes a program of one captured component, with seeded calibration requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.errors import ExportError
from exporter.families.generic.random_requests import DRAWN, drawing, edge_requests, random_requests
from exporter.families.generic.recorded_requests import CONSTANT, hold_one_number, recorded_requests
from exporter.families.generic.runner import COMPONENT
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.provenance import package_versions
from program.program import Array, Component, Modality, Original, Program, TensorSpec

__all__ = ["COMPONENT", "generic_program", "guess_modality"]


def generic_program(
    component: Component,
    source: Path,
    options: CaptureOptions,
    original: Original,
    example: Mapping[str, Array] | None = None,
    weight_files: Sequence[str] = (),
) -> Program:
    """Wraps a component.

    Args:
        component: Named `COMPONENT`.
        source: The file it was made from.
        options: Calibration inputs, or seed and number of synthetic ones.
        original: The model as the user gave it.
        example: Real inputs; they become the first request, and integer inputs are drawn from their range.
        weight_files: Files beside the source that hold its weights.

    Raises:
        ExportError: It has no inputs.
    """
    inputs, example = component.inputs, example or {}
    if not inputs:
        raise ExportError(
            "the model has no inputs: whatever it answers is a constant",
            where=str(source),
            remedy="store what it answers, or export it with its inputs",
        )
    draw = drawing(component.model.graph, inputs, options.seed, example)
    recorded = () if options.calibration is None else recorded_requests(options.calibration, inputs)
    return Program(
        family="generic",
        components={COMPONENT: component},
        settings={"dtype": options.dtype},
        assets={},
        requests=recorded or random_requests(draw, options, example),
        provenance={
            "source": source.name,
            "files": {name: ModelFolder(source.parent).sha256(name) for name in (source.name, *weight_files)},
            "versions": package_versions(),
        },
        original=original,
        edges=() if recorded else edge_requests(draw),
        drawn=(CONSTANT if hold_one_number(recorded) else "") if recorded else DRAWN,
    )


def guess_modality(inputs: Sequence[TensorSpec]) -> Modality:
    """Pictures have four axes; everything else is treated as text. A recipe can say otherwise."""
    return Modality.VISION if any(len(spec.shape) == 4 for spec in inputs) else Modality.TEXT
