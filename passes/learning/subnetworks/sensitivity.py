"""Measures what a program loses when one group of its channels is narrowed.

Importance orders the channels of a group, but says little of how groups compare: half of one layer may be idle while
every head of another counts. So each group is narrowed alone, and the program's answers are compared with those it gave
whole, on requests that were recorded before (sensitivity analysis, as in Li et al., arXiv 1608.08710, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from passes.learning.pruning.dependencies import Dependencies, Group
from passes.learning.pruning.plan import Loss, PlanOptions, next_width, operations
from passes.learning.subnetworks.train import NestedProgram
from passes.learning.training.recording import Recording
from passes.learning.training.self_distillation import distillation_losses, learned_together
from program.program import Program
from program.remark import Remark

PROBED_REQUESTS = 64
"""With 8, the widths chosen were good on those 8 alone; with 64, they were as good on others."""

MOST_OPERATIONS = 1e13
"""Multiply-accumulates a measurement may take: under an hour of one core. The bundled model takes 1e11, 14 s."""

_PROBED_SHARES = (0.125, 0.25, 0.5, 0.75)
_BATCH = 16


def forecast_operations(
    dependencies: Dependencies,
    groups: Sequence[Group],
    recordings: Sequence[Recording],
    options: PlanOptions,
) -> float:
    """Returns the multiply-accumulates that `measure_loss` takes, each component called once a request."""
    widths = sum(len(_probed_widths(group, options)) for group in groups)
    return float(len(_probes(recordings)) * widths * operations(dependencies))


def unmeasured_remark(forecast: float) -> Remark:
    """States that widths follow importance, since measuring would take too long."""
    return Remark(
        "Subnetworks",
        "program",
        "",
        "widths chosen by importance instead of measured losses",
        f"measuring would take {forecast:.2g} multiply-accumulates; the limit is {MOST_OPERATIONS:.2g}",
        {"operations": forecast, "limit": MOST_OPERATIONS},
    )


def measure_loss(
    program: Program,
    dependencies: Dependencies,
    groups: Sequence[Group],
    recordings: Sequence[Recording],
    options: PlanOptions,
) -> Loss:
    """Runs requests with each group narrowed alone to some widths.

    Args:
        program: Float graphs with ordered channels.
        dependencies: Of that program.
        groups: From `nested_groups`, of these dependencies.
        recordings: What the program answered. One of each that share a picture is asked, `PROBED_REQUESTS` at most.
        options: Smallest widths and steps.

    Returns:
        The sum of `distillation_losses` at a width: measured at a few, never smaller at a smaller width, linear
        between.
    """
    probes = _probes(recordings)
    module = NestedProgram(program, dependencies)
    curves = {}
    for group in groups:
        widths = _probed_widths(group, options)
        losses = [_loss(module, probes, {group.name: width}) for width in widths]
        falling = np.maximum.accumulate([0.0, *reversed(losses)])[::-1]
        curves[group.name] = ([*widths, group.size], falling)
    return lambda group, width: float(np.interp(width, *curves[group.name]))


def _probes(recordings: Sequence[Recording]) -> list[Recording]:
    return [together[0] for together in learned_together(recordings)][:PROBED_REQUESTS]


def _probed_widths(group: Group, options: PlanOptions) -> list[int]:
    """Returns reachable widths near the probed shares, in ascending order; all of a few heads."""
    reachable = [group.size]
    while (smaller := next_width(group, reachable[-1], options)) < reachable[-1]:
        reachable.append(smaller)
    wanted = {min(reachable[1:], key=lambda width: abs(width - share * group.size), default=group.size)
              for share in _PROBED_SHARES}  # fmt: skip
    return sorted(wanted - {group.size})


@torch.no_grad()
def _loss(module: NestedProgram, probes: Sequence[Recording], widths: dict[str, int]) -> float:
    total = 0.0
    for start in range(0, len(probes), _BATCH):
        batch = probes[start : start + _BATCH]
        total += len(batch) * sum(float(term) for term in distillation_losses(module(batch, widths)).values())
    return total / max(1, len(probes))
