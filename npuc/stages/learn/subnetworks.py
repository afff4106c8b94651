"""Writes the graphs of nested sub-networks beside the full ones and measures what they answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from exporter.families.multimodal_transformer.config import MODEL_TYPE
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.splits import Split
from exporter.sources.locate import model_path
from npuc.artifact.power import FULL
from npuc.artifact.weights_file import append_weights
from npuc.stages.capture.observe import program_runner, record_feeds
from npuc.stages.learn.nested import Nested
from passes.learning.pruning.dependencies import analyse
from passes.learning.pruning.plan import operations
from passes.learning.subnetworks.nested import Subnetwork, derive
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program, Request

_ANSWER_TOKENS = 4
_TEST_REQUESTS = 120
"""Requests of a test set that are asked: a minute of a compile; a benchmark asks all of them."""


def write_subnetworks(
    program: Program, subnetworks: Sequence[Subnetwork], folder: Path
) -> tuple[Nested, ...]:
    """Derives the graphs of sub-networks, saves them, and adds them to the program's components.

    Args:
        program: Laid out; its weights lie in `folder`. Components are added in place.
        subnetworks: From the largest to the smallest; none for a program without.
        folder: Of the graphs.

    Returns:
        One entry a sub-network; the full network alone where there are none.
    """
    full = dataclasses.replace(program, components=dict(program.components))
    total = operations(analyse(full))
    result = []
    for subnetwork in subnetworks or (Subnetwork(FULL, {}, 1.0),):
        narrowed = derive(full, subnetwork) if subnetwork.widths else {}
        if narrowed:
            append_weights(narrowed, folder)
        for component in narrowed.values():
            ir.save(component.model, folder / f"{component.name}.onnx")
            program.components[component.name] = component
        names = {name: component.name for name, component in narrowed.items()}
        count = round(total * subnetwork.share)
        result.append(Nested(subnetwork.name, names, count, subnetwork.share))
    return tuple(result)


def record_subnetwork_feeds(
    program: Program, nested: Sequence[Nested], requests: Sequence[Request], folder: Path
) -> dict[str, list[Feeds]]:
    """Runs requests through every sub-network and returns what each component was fed.

    Args:
        program: With the components of all sub-networks.
        nested: From `write_subnetworks`.
        requests: At least one.
        folder: Of the graphs.
    """
    feeds: dict[str, list[Feeds]] = {}
    for network in nested:
        chosen = _chosen(program, nested, network)
        recorded = record_feeds(chosen, _executors(chosen, folder), requests)
        feeds |= {network.components.get(name, name): samples for name, samples in recorded.items()} | feeds
    return feeds


def measure_accuracy(
    program: Program, nested: Sequence[Nested], model: str, folder: Path
) -> tuple[Nested, ...]:
    """Asks every sub-network the test set of the model's family, where it has one.

    Args:
        program: With the components of all sub-networks.
        nested: From `write_subnetworks`.
        model: As the user named it; a folder may hold a test set.
        folder: Of the graphs.
    """
    requests = _test_requests(program, model) if len(nested) > 1 else []
    if not requests:
        return tuple(nested)
    measured = []
    for network in nested:
        chosen = _chosen(program, nested, network)
        runner, executors = program_runner(chosen), _executors(chosen, folder)
        right = [
            runner.generate(executors, request, _ANSWER_TOKENS).text == request.answer for request in requests
        ]
        accuracy = round(sum(right) / len(right), 4)
        measured.append(dataclasses.replace(network, accuracy=accuracy, test_requests=len(requests)))
    return tuple(measured)


def _chosen(program: Program, nested: Sequence[Nested], network: Nested) -> Program:
    """Returns the program of one sub-network: narrowed components under the names of those they stand for."""
    variants = {name for other in nested for name in other.components.values()}
    components = {
        name: program.components[network.components.get(name, name)]
        for name in program.components
        if name not in variants
    }
    return dataclasses.replace(program, components=components)


def _executors(program: Program, folder: Path) -> dict[str, OnnxExecutor]:
    return {
        name: OnnxExecutor(folder / f"{component.name}.onnx")
        for name, component in program.components.items()
    }


def _test_requests(program: Program, model: str) -> list[Request]:
    folder = model_path(model)
    if program.family != MODEL_TYPE or not (folder / f"{Split.TEST}.json").is_file():
        return []
    requests = load_requests(Split.TEST, folder)
    chosen = np.random.default_rng(0).permutation(len(requests))[:_TEST_REQUESTS]
    return [requests[int(index)] for index in sorted(chosen)]
