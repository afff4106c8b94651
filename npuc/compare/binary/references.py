"""What the binary of a segment is compared with, and where it leaves that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.compare.binary.agreement import Bound, Reference
from npuc.compare.binary.code_outputs import code_decoder
from npuc.compare.joined_outputs import joined_outputs
from program.program import Executor, Feeds
from targets.contract.emulator import Emulator
from targets.contract.registry import find_emulator


def reference_of(target: str, processor: str, graph: Path, bound: Bound, run: Executor) -> Reference:
    """Returns what a segment's binary is compared with; codes are compared as the numbers they stand for.

    Args:
        target: Of the device.
        processor: Of the segment.
        graph: Reference graph of the segment.
        bound: Of the segment; where it asks for equal bits, its processor has an exact reference, too.
        run: The graph, opened: of a large segment once is enough.
    """
    emulator = find_emulator(target, processor) if bound.exact else None
    exact = None if emulator is None else emulator.exact_reference(graph)
    model = ir.load(graph)
    return Reference(run, exact, joined_outputs(model), code_decoder(model))


def explain_disagreement(
    emulator: Emulator | None,
    binding: Mapping[str, str],
    reference: Path,
    feeds: Sequence[Feeds],
    bound: Bound,
) -> str:
    """Looks into a segment that failed its bound.

    Args:
        emulator: Of the segment's processor.
        binding: Of the segment.
        reference: Its graph.
        feeds: What it was fed.
        bound: The bound it failed.

    Returns:
        One line, which names the first operator that diverges where that can be found; empty where nothing can be said.
    """
    if emulator is None or bound.min_sqnr is None:
        return ""
    return emulator.explain(reference, binding, feeds, bound.min_sqnr)
