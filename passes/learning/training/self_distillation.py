"""Self-distillation on recorded requests: training towards answers a program gave before, without labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from passes.learning.training.batches import ShuffledStream
from passes.learning.training.loss_curve import LossCurve, LossPoint
from passes.learning.training.options import TrainingOptions
from passes.learning.training.recording import Recording
from passes.learning.training.replay import Replayed
from passes.learning.training.trainer import Trainer, Update
from program.remark import Remark

LOGITS = "logits"
"""Outputs whose name ends so are compared as distributions."""

HIDDEN = "hidden"
"""Term of the loss for all other outputs."""


@dataclasses.dataclass(frozen=True)
class RecordedTraining:
    """How long and how fast to train.

    Attributes:
        steps: Updates of the weights.
        learning_rate: Highest; reached after a twentieth of the steps, then half a cosine down to zero.
        batch_size: Requests in a step; fewer where there are fewer. Those that share a picture go together.
        seed: Of the order of requests, and of what the loss draws.
        checkpoints: Folder for checkpoints, or None. Training goes on from the newest one in it, with the same result
            as if it had not been interrupted.
        checkpoint_every: Steps between checkpoints.
    """

    steps: int
    learning_rate: float
    batch_size: int
    seed: int = 0
    checkpoints: Path | None = None
    checkpoint_every: int = 50


def train_on_recordings(
    module: nn.Module,
    loss: Callable[[Sequence[Recording]], Mapping[str, Tensor]],
    recordings: Sequence[Recording],
    options: RecordedTraining,
    on_step: Callable[[LossPoint], None] | None = None,
    update: Update | None = None,
) -> LossCurve:
    """Trains a module in place.

    Args:
        module: Holds everything that is trained.
        loss: Recordings of a step → terms, as `Trainer` takes them.
        recordings: Requests that were answered before.
        options: How long and how fast.
        on_step: Called after each step.
        update: Takes a step of the optimizer; default: its `step`.

    Raises:
        TrainingError: There are no recordings, or training diverged.
    """
    together = learned_together(recordings)
    most = max((len(group) for group in together), default=1)
    batch_size = min(max(1, options.batch_size // most), max(1, len(together)))
    return Trainer(
        module,
        loss,
        ShuffledStream(together, lambda chosen, _: list(chain(*chosen)), batch_size, options.seed),
        TrainingOptions(
            steps=options.steps,
            learning_rate=options.learning_rate,
            warmup_steps=options.steps // 20,
            weight_decay=0.0,
            seed=options.seed,
            checkpoints=options.checkpoints,
            checkpoint_every=options.checkpoint_every,
        ),
        on_step,
        update,
    ).run()


def learned_together(recordings: Sequence[Recording]) -> list[tuple[Recording, ...]]:
    """Groups neighbours that begin with the same call: several questions on a picture, which is then seen once."""
    return [
        tuple(neighbours)
        for key, found in groupby(recordings, key=lambda calls: calls[0].key if calls else b"")
        for neighbours in ([tuple(found)] if key else ((calls,) for calls in found))
    ]


def distillation_losses(replayed: Mapping[str, Replayed]) -> dict[str, Tensor]:
    """Compares what modules computed with what was recorded.

    Returns:
        `logits`, the Kullback-Leibler divergence from the recorded distribution in nats, and `hidden`, the mean square
        error of the other outputs relative to their mean square; one that no output belongs to is left out.
    """
    losses: dict[str, list[Tensor]] = {}
    for component in replayed.values():
        for name, output in component.outputs.items():
            if output.is_floating_point():
                is_logits = name.endswith(LOGITS)
                compare = _divergence if is_logits else _relative_error
                losses.setdefault(LOGITS if is_logits else HIDDEN, []).append(
                    compare(output, component.recorded[name])
                )
    return {name: torch.stack(values).mean() for name, values in losses.items()}


def training_remark(name: str, curve: LossCurve, options: RecordedTraining, why: str) -> Remark:
    """States what training did: mean losses of its first and of its last tenth.

    Args:
        name: Of the pass.
        curve: Of the whole training.
        options: How it was trained.
        why: What for.
    """
    steps = len(curve.points)
    tenth = max(1, steps // 10)
    numbers = {
        "steps": float(steps),
        "learning_rate": options.learning_rate,
        "loss_first": curve.mean(1, tenth),
        "loss_last": curve.mean(steps - tenth + 1, steps),
    }
    return Remark(name, "program", "", "weights trained", why, numbers)


def _divergence(output: Tensor, recorded: Tensor) -> Tensor:
    student = log_softmax(output.flatten(0, -2), dim=-1)
    teacher = log_softmax(recorded.flatten(0, -2), dim=-1)
    return kl_div(student, teacher, reduction="batchmean", log_target=True)


def _relative_error(output: Tensor, recorded: Tensor) -> Tensor:
    return (output - recorded).square().mean() / recorded.square().mean().clamp_min(1e-12)
