"""Which nodes Qualcomm's compiler does not take, read from what it printed.

The provider validates every node and names those it refuses: `Unsupported nodes in QNN EP: { name: N, type: T }, …`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from targets.errors import RefusedNodesError
from targets.tools.process import OUTPUT_NAME, JobError

_LINE = re.compile(r"Unsupported nodes in QNN EP:(.*)")
_NODE = re.compile(r"\{ name: (.*?), type: (\w+) \}")


@contextlib.contextmanager
def naming_refused_nodes(component: str) -> Iterator[None]:
    """Turns the failure of a job inside it into an error with the names of the nodes, where the output has any.

    Args:
        component: What is compiled.

    Raises:
        RefusedNodesError: The compiler named nodes.
        JobError: It failed for another reason.
    """
    try:
        yield
    except JobError as error:
        if error.reproducer is None:
            raise
        nodes = refused_nodes((error.reproducer / OUTPUT_NAME).read_text("utf-8", "replace"))
        if not nodes:
            raise
        raise RefusedNodesError(
            error.what,
            nodes=list(nodes),
            where=f"component {component}",
            received=", ".join(f"{op_type} {name}" for name, op_type in nodes.items()),
            remedy=error.remedy,
            reproducer=error.reproducer,
        ) from error


def refused_nodes(output: str) -> dict[str, str]:
    """Returns the operators of the nodes that the compiler refused, by node name.

    Args:
        output: All that it printed.
    """
    return {name: op_type for line in _LINE.findall(output) for name, op_type in _NODE.findall(line)}
