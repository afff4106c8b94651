"""The float program behind a prepared one: what integer formats of an NPU are made from.

Rounding to FP8 first would only add its error. The float graphs, those of sub-networks, and the calibration requests
are therefore kept beside the prepared program where an NPU may want them, also in the cache; they are no part of an
artifact. What the graphs are fed is handed on in memory and not kept: the KV caches of a large decoder take gigabytes.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.request_file import load_requests, save_requests
from npuc.artifact.weights_file import write_weights
from npuc.stages.capture.prepared import Prepared
from npuc.stages.learn.nested import Nested
from npuc.stages.learn.subnetworks import record_subnetwork_feeds, write_subnetworks
from passes.core.run_passes import run_passes
from passes.learning.subnetworks.nested import Subnetwork, lay_out
from passes.normalize.fold_weight_transpose import FoldWeightTranspose
from program.program import Component, Feeds, Program, Request

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
    feeds: Mapping[str, Sequence[Feeds]]


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


def keep_captured(program: Program, requests: Sequence[Request], captured: Path, folder: Path) -> None:
    """Keeps a float program that nothing was trained of, without writing its weights again.

    Args:
        program: Its weights are bound to the file in `captured`.
        requests: For calibration, at least one.
        captured: Folder of that file; is moved.
        folder: Where the prepared program lies.
    """
    destination = folder / FLOAT_FOLDER
    captured.rename(destination)
    for name, component in program.components.items():
        ir.save(component.model, destination / f"{name}.onnx")
    save_requests(requests, destination)


def load_float_program(prepared: Prepared, folder: Path) -> FloatProgram:
    """Reads the float program of a prepared one; what it is fed is recorded again where the cache gave that.

    Args:
        prepared: Prepared with `PrepareJob.keeps_float`.
        folder: Where it lies.

    Raises:
        ArtifactError: The files are damaged.
    """
    source, program = folder / FLOAT_FOLDER, prepared.program
    loaded = {
        name: dataclasses.replace(component, model=ir.load(source / f"{name}.onnx"))
        for name, component in program.components.items()
    }
    feeds = prepared.feeds
    if feeds is None:
        master = dataclasses.replace(program, components=loaded)
        feeds = record_subnetwork_feeds(master, prepared.subnetworks, load_requests(source), source)
    for component in loaded.values():
        # prefixes of channels lie first in shared weights; integer weights are not shared with sub-networks
        run_passes(component, [FoldWeightTranspose()])
    return FloatProgram(loaded, feeds)


def drop_float_program(folder: Path) -> None:
    """Removes what no device needs."""
    shutil.rmtree(folder / FLOAT_FOLDER, ignore_errors=True)
