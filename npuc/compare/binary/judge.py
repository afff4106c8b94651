"""Judges the binary of a segment: the one comparison that a compile makes and `npuc verify` repeats."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.manifest import Agreement
from npuc.compare.binary.agreement import Bound, Reference, compare_apart
from npuc.compare.binary.code_outputs import code_decoder
from npuc.compare.binary.sensitivity import attainable_bound, moved_reference
from npuc.compare.joined_outputs import joined_outputs
from program.program import Executor, Feeds
from targets.contract.names import CPU
from targets.contract.registry import find_emulator


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a binary is held to.

    Attributes:
        target: Of the device.
        processor: That the binary is for.
        graph: ONNX file that it was made from.
        run: That file, opened: of a large segment once is enough.
        bound: How closely it has to agree.
        feeds: Samples, those at the edge last; at least one.
        ordinary: How many of them are not at the edge.
    """

    target: str
    processor: str
    graph: Path
    run: Executor
    bound: Bound
    feeds: Sequence[Feeds]
    ordinary: int


def judge(trial: Trial, candidate: Executor) -> Agreement:
    """Compares a binary with its graph on all samples.

    Codes are compared as the numbers they stand for. On an NPU, samples at the edge are held to a bound of their own.
    On the CPU, a binary beyond its bound is judged again by what its graph keeps itself when its values move in the
    last place: deep FP8 components pass on every such difference.

    Args:
        trial: What it is held to.
        candidate: The binary in emulation.
    """
    reference = _reference(trial)
    on_cpu = trial.processor == CPU
    together = len(trial.feeds) if on_cpu else trial.ordinary
    agreement = compare_apart(reference, candidate, trial.feeds, together, trial.bound)
    if agreement.passed or not on_cpu:
        return agreement
    attainable = attainable_bound(trial.bound, reference, moved_reference(trial.graph), trial.feeds)
    passed = attainable.holds(agreement.max_relative_error, agreement.sqnr)
    return agreement.model_copy(update={"bound": attainable.record(), "passed": passed})


def _reference(trial: Trial) -> Reference:
    emulator = find_emulator(trial.target, trial.processor) if trial.bound.exact else None
    exact = None if emulator is None else emulator.exact_reference(trial.graph)
    model = ir.load(trial.graph)
    return Reference(trial.run, exact, joined_outputs(model), code_decoder(model))


def first_cause(trial: Trial, binding: Mapping[str, str]) -> str:
    """Looks into a binary that failed its bound.

    Args:
        trial: What it is held to.
        binding: Of the binary, for the chip that it was executed for.

    Returns:
        One line, which names the first operator that diverges where that can be found; empty where nothing can be said.
    """
    emulator = find_emulator(trial.target, trial.processor)
    if emulator is None or trial.bound.min_sqnr is None:
        return ""
    return emulator.explain(trial.graph, binding, trial.feeds, trial.bound.min_sqnr)
