"""Quantisation-aware training of a quantised program, with the float program it was made from as its teacher.

The graphs' own QuantizeLinear and DequantizeLinear are in the forward pass: weights are float master weights whose
codes are computed in each step, and rounding passes gradients on (Jacob et al., arXiv 1712.05877; straight-through
estimator: arXiv 1308.3432). Layers that the precision map leaves in the base format train in it. The loss is
self-distillation, which needs no labels: requests that the float program answered. Nested sub-networks, which share
the weights, are trained with the full network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from passes.learning.pruning.dependencies import analyse
from passes.learning.subnetworks.nested import Subnetwork
from passes.learning.subnetworks.own_vectors import OwnVectors
from passes.learning.subnetworks.train import NestedProgram, sandwich_losses
from passes.learning.training.loss_curve import LossCurve, LossPoint
from passes.learning.training.master_weights import FloatWeights, restore_master_weights, write_master_weights
from passes.learning.training.recording import Recording
from passes.learning.training.relative_scales import RelativeScales
from passes.learning.training.replay import replay
from passes.learning.training.self_distillation import (
    RecordedTraining,
    distillation_losses,
    train_on_recordings,
    training_remark,
)
from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.write_back import write_back_program
from program.program import Program
from program.remark import Remark


@dataclasses.dataclass(frozen=True)
class QatOptions(RecordedTraining):
    """How long and how fast to train.

    Attributes:
        learn_scales: Whether scales of weights and activations are trained too, each relative to its size.
    """

    steps: int = 200
    learning_rate: float = 1e-4
    batch_size: int = 8
    learn_scales: bool = False


def train_quantized(
    program: Program,
    weights: FloatWeights,
    recordings: Sequence[Recording],
    options: QatOptions,
    on_step: Callable[[LossPoint], None] | None = None,
    master: Program | None = None,
) -> LossCurve:
    """Trains a quantised program; its graphs get the new codes, weights and scales in place.

    Args:
        program: Quantised by `passes.pipeline.quantize` or in any other form that the interpreter knows.
        weights: From `float_weights`, before it was quantised.
        recordings: Requests that the float program answered.
        options: How long and how fast.
        on_step: Called after each step.
        master: The float program, where it is to get the trained weights as they are before rounding, in place.

    Returns:
        Losses of `distillation_losses`.

    Raises:
        TrainingError: There are no recordings, or training diverged.
        PassError: An operator has no rule.
    """
    module = TorchProgram(program, learn_scales=options.learn_scales)

    def loss(batch: Sequence[Recording]) -> dict[str, Tensor]:
        return distillation_losses(replay(module, batch))

    curve = _train(program, module, module, loss, weights, recordings, options, on_step)
    if master is not None:
        write_master_weights(module, master)
    return curve


def train_quantized_subnetworks(
    program: Program,
    weights: FloatWeights,
    subnetworks: Sequence[Subnetwork],
    recordings: Sequence[Recording],
    options: QatOptions,
    on_step: Callable[[LossPoint], None] | None = None,
    master: Program | None = None,
) -> tuple[LossCurve, list[Subnetwork]]:
    """Trains a quantised program together with its nested sub-networks; see `train_quantized`.

    Args:
        program: With ordered channels; it gets the new codes, weights and scales in place.
        weights: From `float_weights`, before it was quantised.
        subnetworks: From `train_subnetworks` or `plan_subnetworks`, the largest first.
        recordings: Requests that the float program answered.
        options: How long and how fast.
        on_step: Called after each step.
        master: The float program, where it is to get the trained weights as they are before rounding, in place.

    Returns:
        Losses of `sandwich_losses`, and the sub-networks with their own vectors trained further.

    Raises:
        TrainingError: There are no recordings, or training diverged.
        PassError: An operator has no rule.
    """
    dependencies = analyse(program)
    nested = NestedProgram(program, dependencies, options.learn_scales)
    vectors = OwnVectors(program, nested.program, dependencies, subnetworks)

    def loss(batch: Sequence[Recording]) -> dict[str, Tensor]:
        return sandwich_losses(nested, vectors, subnetworks, batch)

    trained = nn.ModuleList([nested.program, vectors])
    curve = _train(program, nested.program, trained, loss, weights, recordings, options, on_step)
    if master is not None:
        write_master_weights(nested.program, master)
    return curve, vectors.given_to(subnetworks)


def qat_remark(curve: LossCurve, options: QatOptions, subnetworks: Sequence[Subnetwork] = ()) -> Remark:
    """States what training did: mean losses of its first and of its last tenth."""
    trained = " and ".join(("the full network", *(s.name for s in subnetworks if s.widths)))
    why = f"{trained} fine-tuned with the program's own quantisation towards the float program"
    return training_remark("Qat", curve, options, why)


def _train(
    program: Program,
    module: TorchProgram,
    trained: nn.Module,
    loss: Callable[[Sequence[Recording]], Mapping[str, Tensor]],
    weights: FloatWeights,
    recordings: Sequence[Recording],
    options: QatOptions,
    on_step: Callable[[LossPoint], None] | None,
) -> LossCurve:
    """Trains what holds the modules of a quantised program, from its float weights, and writes these back."""
    restore_master_weights(module, weights)
    scales = RelativeScales(program, module) if options.learn_scales else None
    update = None if scales is None else scales.update
    curve = train_on_recordings(trained, loss, recordings, options, on_step, update)
    write_back_program(program, module)
    return curve
