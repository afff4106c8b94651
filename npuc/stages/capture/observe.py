"""The program answers its calibration requests while every component's inputs are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from exporter.families.registry import FAMILIES
from npuc.artifact.samples import Recorder
from program.program import Executor, Feeds, Program, Request, Runner

FEEDS_PER_REQUEST = 3
"""Calls of one component kept for each request: first prefill chunks, first decode steps."""

NEW_TOKENS = 4
"""Tokens generated for each request; later steps feed the decoder the same kinds of values."""


def program_runner(program: Program) -> Runner:
    """Returns the loop that drives a program's components as they are now."""
    signatures = {name: component.inputs for name, component in program.components.items()}
    return FAMILIES[program.family].runner(program.settings, program.assets, signatures)


def record_feeds(
    program: Program, executors: Mapping[str, Executor], requests: Sequence[Request]
) -> dict[str, list[Feeds]]:
    """Runs requests and returns what each component was fed.

    Args:
        program: Gives settings and assets.
        executors: Its components.
        requests: At least one.
    """
    recorder = Recorder(executors, FEEDS_PER_REQUEST)
    recorder.run(program_runner(program), requests, NEW_TOKENS)
    return recorder.feeds


def draw_requests(requests: Sequence[Request], count: int) -> tuple[Request, ...]:
    """Returns at most `count` requests, a seeded draw in their own order.

    Requests often come in turns, one of each kind. Every n-th of them would be of few kinds, or of one.
    """
    order = np.random.default_rng(0).permutation(len(requests))
    return tuple(requests[index] for index in sorted(order[:count]))
