"""Compares a program's original with its captured components, on what the runner feeds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exporter.families.registry import FAMILIES
from program.program import Array, Executor, Feeds, Program, Request


@dataclasses.dataclass(frozen=True)
class Call:
    """What a component was fed, and what it returned."""

    feeds: Feeds
    outputs: Mapping[str, Array]


def record_calls(
    program: Program, executors: Mapping[str, Executor], requests: Sequence[Request], new_tokens: int
) -> dict[str, list[Call]]:
    """Runs requests and keeps a copy of every call: the runner goes on writing to its cache."""
    calls: dict[str, list[Call]] = {name: [] for name in executors}

    def recording(name: str) -> Executor:
        def run(feeds: Feeds) -> dict[str, Array]:
            copied = {key: array.copy() for key, array in feeds.items()}
            outputs = executors[name](feeds)
            calls[name].append(Call(copied, outputs))
            return outputs

        return run

    recorders = {name: recording(name) for name in executors}
    for request in requests:
        runner_of(program).generate(recorders, request, new_tokens)
    return calls


def runner_of(program: Program) -> Any:
    """The family's runner for the program as it was captured."""
    signatures = {name: component.inputs for name, component in program.components.items()}
    return FAMILIES[program.family].runner(program.settings, program.assets, signatures)


def largest_difference(executor: Executor, calls: Sequence[Call]) -> float:
    """Of all outputs of all calls, relative to the largest value of the output."""
    worst = 0.0
    for call in calls:
        outputs = executor(call.feeds)
        assert outputs.keys() == call.outputs.keys()
        for name, expected in call.outputs.items():
            assert (outputs[name].shape, outputs[name].dtype) == (expected.shape, np.float32)
            wide = expected.astype(np.float32)
            worst = max(worst, float(np.abs(outputs[name] - wide).max() / np.abs(wide).max()))
    return worst
