"""What a program's components were fed and returned while it answered a request."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, MutableMapping

import numpy as np

from program.program import Array, Executor, Feeds, Request, Runner

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
        key: Equal for calls that compute the same: digest of component, feeds, and the keys of linked calls.
    """

    component: str
    feeds: Feeds
    outputs: Mapping[str, Array]
    links: Mapping[str, Link]
    key: bytes = b""


Recording = tuple[Call, ...]
"""The calls of one request, in order."""


def record(
    runner: Runner,
    executors: Mapping[str, Executor],
    request: Request,
    max_new_tokens: int,
    limit: int | None = None,
    known: MutableMapping[bytes, Call] | None = None,
) -> Recording:
    """Answers a request and keeps every call.

    Args:
        runner: Drives the components.
        executors: The components, whose results are the teacher's.
        request: The request.
        max_new_tokens: Length of the answer.
        limit: Calls of one component that are kept: the first ones. Default: all.
        known: Calls of earlier requests by key, added to. One of them is neither computed nor kept a second time.
    """
    calls: list[Call] = []
    known = {} if known is None else known
    # the arrays themselves are kept for the whole run, so that an identity stays one array
    sources: dict[int, tuple[Array, Link]] = {}
    counts = dict.fromkeys(executors, 0)

    def wrap(name: str) -> Executor:
        def run(feeds: Feeds) -> dict[str, Array]:
            counts[name] += 1
            if limit is not None and counts[name] > limit:
                return executors[name](feeds)
            links = {key: sources[id(array)][1] for key, array in feeds.items() if id(array) in sources}
            key = _digest(name, feeds, {feed: (calls[link[0]].key, link[1]) for feed, link in links.items()})
            if key not in known:
                # a runner may write into an array later: caches are its own
                kept = {feed: array if feed in links else np.array(array) for feed, array in feeds.items()}
                known[key] = Call(name, kept, dict(executors[name](feeds)), links, key)
            call = dataclasses.replace(known[key], links=links)
            for output, array in call.outputs.items():
                sources[id(array)] = (array, (len(calls), output))
            calls.append(call)
            return dict(call.outputs)

        return run

    runner.generate({name: wrap(name) for name in executors}, request, max_new_tokens)
    return tuple(calls)


def _digest(component: str, feeds: Feeds, links: Mapping[str, tuple[bytes, str]]) -> bytes:
    digest = hashlib.blake2b(component.encode(), digest_size=16)
    for name in sorted(feeds):
        array = feeds[name]
        digest.update(f"\0{name} {array.dtype} {array.shape}\0".encode())
        if name in links:
            digest.update(links[name][0] + links[name][1].encode())
        else:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
