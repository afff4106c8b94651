"""What a program's components were fed and returned while it answered a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from exporter.program import Array, Executor, Feeds, Request, Runner

Link = tuple[int, str]
"""(number of an earlier call of the request, name of its output)."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a component.

    Attributes:
        component: Its name.
        feeds: Inputs by name.
        outputs: Results by name.
        links: Inputs that are, unchanged, the output of an earlier call.
    """

    component: str
    feeds: Feeds
    outputs: Mapping[str, Array]
    links: Mapping[str, Link]


Recording = tuple[Call, ...]
"""The calls of one request, in order."""


def record(
    runner: Runner,
    executors: Mapping[str, Executor],
    request: Request,
    max_new_tokens: int,
    limit: int | None = None,
) -> Recording:
    """Answers a request and keeps every call.

    Args:
        runner: Drives the components.
        executors: The components, whose results are the teacher's.
        request: The request.
        max_new_tokens: Length of the answer.
        limit: Calls of one component that are kept: the first ones. Default: all.
    """
    calls: list[Call] = []
    # the arrays themselves are kept for the whole run, so that an identity stays one array
    sources: dict[int, tuple[Array, Link]] = {}
    counts = dict.fromkeys(executors, 0)

    def wrap(name: str) -> Executor:
        def run(feeds: Feeds) -> dict[str, Array]:
            outputs = executors[name](feeds)
            counts[name] += 1
            if limit is not None and counts[name] > limit:
                return outputs
            links = {key: sources[id(array)][1] for key, array in feeds.items() if id(array) in sources}
            # a runner may write into an array later: caches are its own
            kept = {key: array if key in links else np.array(array) for key, array in feeds.items()}
            for key, array in outputs.items():
                sources[id(array)] = (array, (len(calls), key))
            calls.append(Call(name, kept, dict(outputs), links))
            return outputs

        return run

    runner.generate({name: wrap(name) for name in executors}, request, max_new_tokens)
    return tuple(calls)
