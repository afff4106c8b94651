"""The float program behind a trained one: what integer formats of an NPU are made from.

Training changes weights, so that capturing the model again would lose it, and rounding to FP8 first would only add its
error. The trained float graphs, those of sub-networks, and what all of them are fed in calibration are therefore kept
beside the prepared program, in the cache; they are no part of an artifact.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx_ir as ir

from exporter.program import Component, Feeds, Program, Request
from npuc.samples import load_samples, save_samples
from npuc.stages.subnetworks import record_subnetwork_feeds, write_subnetworks
from npuc.weights_file import write_weights
from passes.elastic import Subnetwork, lay_out
from passes.fold_weight_transpose import FoldWeightTranspose
from passes.run_passes import run_passes

FLOAT_FOLDER = "float"
"""Where it lies while a compile runs."""


@dataclasses.dataclass(frozen=True)
class FloatProgram:
    """Graphs in float32, and what they are fed.

    Attributes:
        components: By name; those of sub-networks are components of their own.
        feeds: Component name → inputs of the calibration requests.
    """

    components: dict[str, Component]
    feeds: dict[str, list[Feeds]]


def copy_graphs(program: Program) -> Program:
    """Returns a program with graphs of its own and the same tensors."""
    copies = {
        name: dataclasses.replace(component, model=component.model.clone())
        for name, component in program.components.items()
    }
    return dataclasses.replace(program, components=copies)


def keep_float_program(
    program: Program, subnetworks: Sequence[Subnetwork], requests: Sequence[Request], folder: Path
) -> None:
    """Writes a trained float program, its sub-networks, and what each of them is fed.

    Args:
        program: Trained; its weights are bound to the file written, and the components of sub-networks added.
        subnetworks: From the largest to the smallest; none for a program without.
        requests: For calibration, at least one.
        folder: Where the prepared program lies.
    """
    destination = folder / FLOAT_FOLDER
    destination.mkdir()
    if subnetworks:
        lay_out(program, subnetworks)
    write_weights(program.components, destination)
    for name, component in program.components.items():
        ir.save(component.model, destination / f"{name}.onnx")
    nested = write_subnetworks(program, subnetworks, destination)
    save_samples(record_subnetwork_feeds(program, nested, requests, destination), destination)


def load_float_program(components: Iterable[Component], folder: Path) -> FloatProgram | None:
    """Reads what `keep_float_program` wrote; None where nothing was trained.

    Args:
        components: Of the prepared program.
        folder: Where it lies.

    Raises:
        ArtifactError: The files are damaged.
    """
    source = folder / FLOAT_FOLDER
    if not source.is_dir():
        return None
    loaded = {}
    for prepared in components:
        component = dataclasses.replace(prepared, model=ir.load(source / f"{prepared.name}.onnx"))
        # prefixes of channels lie first in shared weights; integer weights are not shared with sub-networks
        run_passes(component, [FoldWeightTranspose()])
        loaded[component.name] = component
    return FloatProgram(loaded, load_samples(source))


def drop_float_program(folder: Path) -> None:
    """Removes what no device needs."""
    shutil.rmtree(folder / FLOAT_FOLDER, ignore_errors=True)
