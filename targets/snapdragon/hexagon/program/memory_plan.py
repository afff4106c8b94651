"""Offsets of the buffers in one arena; buffers that are never needed together share bytes."""

from __future__ import annotations

from collections.abc import Collection

from targets.snapdragon.hexagon.program.step import StepSequence
from targets.tvm.call_sequence import aligned


def plan_memory(sequence: StepSequence, elsewhere: Collection[str]) -> tuple[dict[str, int], int]:
    """Places each buffer at the first gap among those that live at the same time.

    Args:
        sequence: Calls.
        elsewhere: Buffers that are not in the arena: the program's inputs and outputs.

    Returns:
        Offset of every buffer, and the arena's bytes.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, step in enumerate(sequence.steps):
        for name in (*step.sources, step.output):
            first.setdefault(name, index)
            last[name] = index
    offsets: dict[str, int] = {}
    for name in sorted(first, key=lambda n: (-sequence.sizes[n], first[n], n)):
        if name not in elsewhere:
            neighbours = [n for n in offsets if first[n] <= last[name] and first[name] <= last[n]]
            offsets[name] = _gap(sequence, offsets, neighbours, sequence.sizes[name])
    return offsets, max((offset + aligned(sequence.sizes[n]) for n, offset in offsets.items()), default=0)


def _gap(sequence: StepSequence, offsets: dict[str, int], neighbours: list[str], size: int) -> int:
    start = 0
    for name in sorted(neighbours, key=lambda n: offsets[n]):
        if start + aligned(size) <= offsets[name]:
            break
        start = max(start, offsets[name] + aligned(sequence.sizes[name]))
    return start
