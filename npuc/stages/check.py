"""Stage 6: every binary is executed and compared; what disagrees is not shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exporter.onnx_executor import OnnxExecutor
from npuc.agreement import bound_for, compare
from npuc.artifact import MODEL_FOLDER
from npuc.errors import AgreementError
from npuc.manifest import Agreement
from npuc.progress import Advance
from npuc.recipe import Recipe
from npuc.samples import load_samples
from npuc.stages.lower import BINARY_FOLDER
from npuc.stages.prepare import Prepared
from npuc.weights_file import WEIGHTS_NAME
from targets.device import Device
from targets.registry import find_target
from targets.target import Lowered


def check_binaries(
    prepared: Prepared,
    lowered: Mapping[str, Lowered],
    device: Device,
    recipe: Recipe,
    folder: Path,
    advance: Advance,
) -> dict[str, Agreement]:
    """Runs every binary on the recorded samples.

    Args:
        prepared: Components as they were lowered; the formats of their layers decide the bounds.
        lowered: What was made of them.
        device: Names the target that executes.
        recipe: Sections [precision] and [gates].
        folder: Of the artifact.
        advance: Told once a component.

    Raises:
        AgreementError: A binary is beyond its bound.
    """
    samples = load_samples(folder / MODEL_FOLDER)
    target = find_target(device.target)
    agreements = {}
    for name, component in prepared.program.components.items():
        bound = bound_for(
            {layer.format for layer in prepared.layers[name]}, recipe.precision.base, recipe.gates
        )
        weights = folder / MODEL_FOLDER / WEIGHTS_NAME
        with target.execute(component, lowered[name], folder / BINARY_FOLDER, weights) as candidate:
            reference = OnnxExecutor(folder / MODEL_FOLDER / f"{name}.onnx")
            agreements[name] = compare(reference, candidate, samples[name], bound)
        if not agreements[name].passed:
            raise _disagreement(name, agreements[name])
        advance(1, 0)
    return agreements


def _disagreement(name: str, agreement: Agreement) -> AgreementError:
    sqnr = "exact" if agreement.sqnr is None else f"{agreement.sqnr:.1f} dB"
    return AgreementError(
        "a binary does not agree with its reference; nothing was written",
        where=f"component {name}",
        received=f"relative error {agreement.max_relative_error:.2e}, SQNR {sqnr}; bound: {agreement.bound}",
        remedy="report this model; --dump-ir keeps the graphs. The bounds are in the recipe's section [gates]",
    )
