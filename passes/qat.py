"""Quantisation-aware training of a quantised program, with the float program it was made from as its teacher.

The graphs' own QuantizeLinear and DequantizeLinear are in the forward pass: weights are float master weights whose
codes are computed in each step, and rounding passes gradients on (Jacob et al., arXiv 1712.05877; straight-through
estimator: arXiv 1308.3432). Layers that the precision map leaves in the base format train in it. The loss is
self-distillation, which needs no labels: requests that the float program answered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from exporter.program import Program
from passes.remark import Remark
from passes.training.batches import ShuffledStream
from passes.training.loss_curve import LossCurve, LossPoint
from passes.training.master_weights import FloatWeights, restore_master_weights
from passes.training.options import TrainingOptions
from passes.training.program import TorchProgram
from passes.training.recording import Recording
from passes.training.relative_scales import RelativeScales
from passes.training.replay import Replayed, replay
from passes.training.trainer import Trainer
from passes.training.write_back import write_back_program

LOGITS = "logits"
"""Outputs whose name ends so are compared as distributions."""


@dataclasses.dataclass(frozen=True)
class QatOptions:
    """How long and how fast to train.

    Attributes:
        steps: Updates of the weights.
        learning_rate: Highest; reached after a twentieth of the steps, then half a cosine down to zero.
        batch_size: Requests in a step; fewer where there are fewer.
        learn_scales: Whether scales of weights and activations are trained too, each relative to its size.
        seed: Of the order of requests.
    """

    steps: int = 200
    learning_rate: float = 1e-4
    batch_size: int = 8
    learn_scales: bool = False
    seed: int = 0


def train_quantized(
    program: Program,
    weights: FloatWeights,
    recordings: Sequence[Recording],
    options: QatOptions,
    on_step: Callable[[LossPoint], None] | None = None,
) -> LossCurve:
    """Trains a quantised program; its graphs get the new codes, weights and scales in place.

    Args:
        program: Quantised by `passes.pipeline.quantize` or in any other form that the interpreter knows.
        weights: From `float_weights`, before it was quantised.
        recordings: Requests that the float program answered.
        options: How long and how fast.
        on_step: Called after each step.

    Returns:
        Losses: `logits`, the Kullback-Leibler divergence from the teacher's distribution in nats, and `hidden`, the
        mean square error of the other outputs relative to their mean square.

    Raises:
        TrainingError: There are no recordings, or training diverged.
        PassError: An operator has no rule.
    """
    module = TorchProgram(program, learn_scales=options.learn_scales)
    restore_master_weights(module, weights)
    scales = RelativeScales(program, module) if options.learn_scales else None

    def after_step(point: LossPoint) -> None:
        if scales is not None:
            scales.after_step()
        if on_step is not None:
            on_step(point)

    trainer = Trainer(
        module,
        lambda batch: distillation_losses(replay(module, batch)),
        ShuffledStream(recordings, _as_batch, min(options.batch_size, max(1, len(recordings))), options.seed),
        TrainingOptions(
            steps=options.steps,
            learning_rate=options.learning_rate,
            warmup_steps=options.steps // 20,
            weight_decay=0.0,
            seed=options.seed,
        ),
        after_step,
    )
    curve = trainer.run()
    write_back_program(program, module)
    return curve


def distillation_losses(replayed: Mapping[str, Replayed]) -> dict[str, Tensor]:
    """Compares what modules computed with what was recorded.

    Returns:
        `logits` and `hidden`, as `train_quantized`; one that no output belongs to is left out.
    """
    losses: dict[str, list[Tensor]] = {}
    for component in replayed.values():
        for name, output in component.outputs.items():
            if output.is_floating_point():
                is_logits = name.endswith(LOGITS)
                compare = _divergence if is_logits else _relative_error
                losses.setdefault("logits" if is_logits else "hidden", []).append(
                    compare(output, component.recorded[name])
                )
    return {name: torch.stack(values).mean() for name, values in losses.items()}


def qat_remark(curve: LossCurve, options: QatOptions) -> Remark:
    """States what training did: mean losses of its first and of its last tenth."""
    steps = len(curve.points)
    tenth = max(1, steps // 10)
    numbers = {
        "steps": float(steps),
        "learning_rate": options.learning_rate,
        "loss_first": curve.mean(1, tenth),
        "loss_last": curve.mean(steps - tenth + 1, steps),
    }
    why = "fine-tuned with the program's own quantisation towards the float program"
    return Remark("Qat", "program", "", "weights trained", why, numbers)


def _divergence(output: Tensor, recorded: Tensor) -> Tensor:
    student = log_softmax(output.flatten(0, -2), dim=-1)
    teacher = log_softmax(recorded.flatten(0, -2), dim=-1)
    return kl_div(student, teacher, reduction="batchmean", log_target=True)


def _relative_error(output: Tensor, recorded: Tensor) -> Tensor:
    return (output - recorded).square().mean() / recorded.square().mean().clamp_min(1e-12)


def _as_batch(recordings: list[Recording], _: np.random.Generator) -> list[Recording]:
    return recordings
