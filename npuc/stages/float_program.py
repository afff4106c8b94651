"""The float program behind a trained one: what integer formats of an NPU are made from.

Training changes weights, so that capturing the model again would lose it, and rounding to FP8 first would only add its
error. The trained float graphs, those of sub-networks, and the calibration requests are therefore kept beside the
prepared program, in the cache; they are no part of an artifact. What the graphs are fed is recorded again when it is
needed: the KV caches of a large decoder take gigabytes.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from exporter.program import Component, Feeds, Program, Request
from npuc.request_file import load_requests, save_requests
from npuc.stages.nested import Nested
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
) -> tuple[Nested, ...]:
    """Writes a trained float program, its sub-networks, and the requests it is calibrated with.

    Args:
        program: Trained; its weights are bound to the file written, and the components of sub-networks added.
        subnetworks: From the largest to the smallest; none for a program without.
        requests: For calibration, at least one.
        folder: Where the prepared program lies.

    Returns:
        One entry a sub-network.
    """
    destination = folder / FLOAT_FOLDER
    destination.mkdir()
    if subnetworks:
        lay_out(program, subnetworks)
    write_weights(program.components, destination)
    for name, component in program.components.items():
        ir.save(component.model, destination / f"{name}.onnx")
    save_requests(requests, destination)
    return write_subnetworks(program, subnetworks, destination)


def load_float_program(program: Program, nested: Sequence[Nested], folder: Path) -> FloatProgram | None:
    """Reads what `keep_float_program` wrote and runs its requests; None where nothing was trained.

    Args:
        program: Prepared.
        nested: Its sub-networks.
        folder: Where it lies.

    Raises:
        ArtifactError: The files are damaged.
    """
    source = folder / FLOAT_FOLDER
    if not source.is_dir():
        return None
    loaded = {
        name: dataclasses.replace(prepared, model=ir.load(source / f"{name}.onnx"))
        for name, prepared in program.components.items()
    }
    master = dataclasses.replace(program, components=loaded)
    feeds = record_subnetwork_feeds(master, nested, load_requests(source), source)
    for component in loaded.values():
        # prefixes of channels lie first in shared weights; integer weights are not shared with sub-networks
        run_passes(component, [FoldWeightTranspose()])
    return FloatProgram(loaded, feeds)


def drop_float_program(folder: Path) -> None:
    """Removes what no device needs."""
    shutil.rmtree(folder / FLOAT_FOLDER, ignore_errors=True)
