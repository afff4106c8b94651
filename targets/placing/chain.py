"""Runs a component that was cut into parts as if it were whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from program.program import Array, Executor, Feeds
from targets.errors import TargetError


@dataclasses.dataclass(frozen=True)
class ChainPart:
    """One part of a chain.

    Attributes:
        executor: Runs it.
        inputs: Names of what it reads: inputs of the whole, or outputs of parts before it.
    """

    executor: Executor
    inputs: tuple[str, ...]


class ChainExecutor:
    """Parts of one component as one callable; arrays go from part to part as they are.

    Args:
        parts: In order of execution. What a part makes is dropped behind its last reader.
        outputs: Names of the whole component's outputs.
    """

    def __init__(self, parts: Sequence[ChainPart], outputs: Sequence[str]) -> None:
        self._parts = tuple(parts)
        self._outputs = frozenset(outputs)

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs all parts.

        Args:
            feeds: One array for each input of the whole; others are ignored.

        Returns:
            Outputs of the whole by name.

        Raises:
            TargetError: A part reads what neither the feeds nor a part before it give, or an output is not made.
        """
        values: dict[str, Array] = dict(feeds)
        outputs: dict[str, Array] = {}
        for index, part in enumerate(self._parts):
            made = part.executor({name: _find(values, name, index) for name in part.inputs})
            outputs |= {name: array for name, array in made.items() if name in self._outputs}
            needed = {name for later in self._parts[index + 1 :] for name in later.inputs}
            values = {name: array for name, array in (values | made).items() if name in needed}
        if missing := self._outputs - outputs.keys():
            raise TargetError(
                "no part of the chain makes an output",
                received=", ".join(sorted(missing)),
                remedy="compile the model again",
            )
        return outputs


def _find(values: Feeds, name: str, index: int) -> Array:
    if name not in values:
        raise TargetError(
            "a part of the chain reads a value that is neither an input nor made before it",
            where=f"part {index}",
            received=name,
            remedy="feed all inputs of the whole component",
        )
    return values[name]
