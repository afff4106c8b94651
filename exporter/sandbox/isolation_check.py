"""Whether this machine lets a child process give up the network."""

from __future__ import annotations

from exporter.sandbox.isolation import leave_network
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import call_once


def network_refusal() -> str:
    """Returns why a child keeps the network on this machine; empty where it has none.

    A child has left it already when it answers; to leave again is possible where it was the first time.
    """
    answer: str = call_once(
        f"{__name__}:_refusal", limits=Limits(), what="starting a child process", where="this machine"
    )
    return answer


def _refusal(_content: bytes) -> str:
    return leave_network()
