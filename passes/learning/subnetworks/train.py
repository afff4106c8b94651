"""Trains a network and its nested sub-networks together, so that one set of weights serves all of them.

Each step runs the full network, the smallest one and one in between (the sandwich rule of Yu and Huang, arXiv
1903.05134, with the networks that are shipped instead of random ones) and pulls all of them towards what the full
network answered before training: self-distillation, which needs no labels. Matrices are shared, gains and biases are
each sub-network's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from passes.learning.pruning.cut import axis_indices
from passes.learning.pruning.dependencies import Dependencies
from passes.learning.pruning.products import base_name
from passes.learning.subnetworks.nested import Subnetwork
from passes.learning.subnetworks.own_vectors import OwnVectors
from passes.learning.training.errors import TrainingError
from passes.learning.training.loss_curve import LossCurve, LossPoint
from passes.learning.training.recording import Recording
from passes.learning.training.replay import Replayed, replay
from passes.learning.training.self_distillation import (
    HIDDEN,
    RecordedTraining,
    distillation_losses,
    train_on_recordings,
    training_remark,
)
from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.write_back import write_back_program
from program.program import Program
from program.remark import Remark

Widths = Mapping[str, int]

FULL_WEIGHT = 2.0
"""Of the full network's loss: it is to lose nothing, and starts without any loss, while the smallest has most."""


@dataclasses.dataclass(frozen=True)
class SubnetworkOptions(RecordedTraining):
    """How long and how fast to train.

    Attributes:
        hidden_weight: Of `hidden` in `distillation_losses`, beside the divergence of answers.
        keep_full: Leave the shared weights, and with them the full network, as they are: sub-networks learn their own
            vectors alone.
    """

    steps: int = 200
    learning_rate: float = 1e-3
    batch_size: int = 16
    hidden_weight: float = 1.0
    keep_full: bool = False


class NestedProgram(nn.Module):
    """A program as torch modules that can compute any of its sub-networks.

    Channels that a sub-network lacks are silenced where they are read: those rows of the reading weights are zero.

    Args:
        program: With ordered channels, in float or quantised.
        dependencies: Of that program.
        learn_scales: Whether scales get gradients.

    Attributes:
        program: The modules of the full network.
    """

    def __init__(self, program: Program, dependencies: Dependencies, learn_scales: bool = False) -> None:
        super().__init__()
        self.program = TorchProgram(program, learn_scales=learn_scales)
        self._dependencies = dependencies
        weights = self.program.named_weights()
        paths = {id(parameter): path for path, parameter in self.program.named_parameters()}
        self._paths = {name: paths[id(parameter)] for name, parameter in weights.items()}
        self._weights = weights
        self._forms: dict[str, list[str]] = {}
        for name in weights:
            self._forms.setdefault(base_name(name), []).append(name)

    def forward(
        self, batch: Sequence[Recording], widths: Widths, vectors: Mapping[str, Tensor] | None = None
    ) -> dict[str, Replayed]:
        """Computes recorded requests with some groups narrowed to their first channels.

        Args:
            batch: From `passes.learning.training.recording.record`.
            widths: Group name → channels.
            vectors: Initializer → gains or biases that take the place of the full network's.
        """
        changed = {name: self._weights[name] * mask for name, mask in self._masks(widths).items()}
        changed |= vectors or {}
        parameters = {f"program.{self._paths[name]}": tensor for name, tensor in changed.items()}
        replayed: dict[str, Replayed] = functional_call(_Replay(self.program), parameters, (batch,))
        return replayed

    def _masks(self, widths: Widths) -> dict[str, Tensor]:
        """Returns, for each weight that reads a narrowed group, ones for the channels that are left."""
        dependencies = self._dependencies
        masks: dict[str, Tensor] = {}
        for group in dependencies.groups:
            if group.name not in widths:
                continue
            kept = {group.dimension: np.arange(widths[group.name])}
            for product in dependencies.products:
                if group.dimension not in product.inputs:
                    continue
                left = axis_indices(dependencies, product.inputs, kept)
                for name in self._forms[product.weight]:
                    masks[name] = _ones_at(left, product.input_axis, self._weights[name])
        return masks


def _ones_at(indices: np.ndarray, axis: int, like: Tensor) -> Tensor:
    """Returns ones at some places of an axis of a weight and zeros at the others, to be multiplied with it."""
    mask = torch.zeros(like.shape[axis], device=like.device)
    mask[torch.from_numpy(indices)] = 1.0
    shape = [1] * like.ndim
    shape[axis] = -1
    return mask.reshape(shape)


class _Replay(nn.Module):
    """`replay` as a module's forward pass, for `functional_call`."""

    def __init__(self, program: TorchProgram) -> None:
        super().__init__()
        self.program = program

    def forward(self, batch: Sequence[Recording]) -> dict[str, Replayed]:
        """Recordings → replayed calls."""
        return replay(self.program, batch)


def train_subnetworks(
    program: Program,
    dependencies: Dependencies,
    subnetworks: Sequence[Subnetwork],
    recordings: Sequence[Recording],
    options: SubnetworkOptions,
    on_step: Callable[[LossPoint], None] | None = None,
) -> tuple[LossCurve, list[Subnetwork]]:
    """Trains a program whose channels are ordered; its graphs get the new weights in place.

    Args:
        program: Float graphs.
        dependencies: Of that program.
        subnetworks: From `plan_subnetworks`, the largest first.
        recordings: Requests that the program answered before training.
        options: How long and how fast, and whether the full network stays as it is.
        on_step: Called after each step.

    Returns:
        Losses of `sandwich_losses`, and the sub-networks with vectors of their own.

    Raises:
        TrainingError: There are no recordings, the full network is kept and nothing else is left to train, or training
            diverged.
        PassError: An operator has no rule.
    """
    module = NestedProgram(program, dependencies)
    vectors = OwnVectors(program, module.program, dependencies, subnetworks)
    networks = [network for network in subnetworks if network.widths or not options.keep_full]
    if options.keep_full:
        _check_vectors(vectors)
        module.program.requires_grad_(False)
    curve = train_on_recordings(
        nn.ModuleList([module.program, vectors]),
        lambda batch: sandwich_losses(module, vectors, networks, batch, options.hidden_weight),
        recordings,
        options,
        on_step,
    )
    if not options.keep_full:
        write_back_program(program, module.program)
    return curve, vectors.given_to(subnetworks)


def sandwich_losses(
    module: NestedProgram,
    vectors: OwnVectors,
    subnetworks: Sequence[Subnetwork],
    batch: Sequence[Recording],
    hidden_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Compares the full network, if it is among them, the smallest one and one in between with what was recorded.

    Args:
        module: Computes any of them.
        vectors: Of the sub-networks.
        subnetworks: From `plan_subnetworks`, the largest first.
        batch: Requests that the full network answered before training.
        hidden_weight: Of `hidden`.

    Returns:
        Terms of `distillation_losses`, weighted: their mean over these networks, the full one's counted `FULL_WEIGHT`
        times.
    """
    terms: dict[str, list[Tensor]] = {}
    for network in _sandwich(subnetworks):
        replayed = module(batch, network.widths, vectors.of(network))
        weight = 1.0 if network.widths else FULL_WEIGHT
        for name, value in distillation_losses(replayed).items():
            terms.setdefault(name, []).append(weight * (hidden_weight if name == HIDDEN else 1.0) * value)
    return {name: torch.stack(values).mean() for name, values in terms.items()}


def subnetwork_training_remark(curve: LossCurve, options: SubnetworkOptions) -> Remark:
    """States what training did: mean losses of its first and of its last tenth."""
    trained = "gains and biases of narrowed networks" if options.keep_full else "full and narrowed networks"
    why = f"{trained} trained together towards the answers of the full one"
    return training_remark("SubnetworkTraining", curve, options, why)


def _check_vectors(vectors: OwnVectors) -> None:
    if not len(vectors.changes):
        raise TrainingError(
            "the full network is to be kept, and its sub-networks have no gains or biases of their own to train",
            received="keep_full = true",
            remedy="set keep_full = false in [prune], or steps = 0 for sub-networks without training",
        )


def _sandwich(subnetworks: Sequence[Subnetwork]) -> list[Subnetwork]:
    """Returns the full network, the smallest one, and one of those in between, those that there are."""
    full = [subnetwork for subnetwork in subnetworks if not subnetwork.widths]
    narrow = [subnetwork for subnetwork in subnetworks if subnetwork.widths]
    pick = int(torch.randint(0, len(narrow) - 1, ())) if len(narrow) > 1 else 0
    return [*full, *narrow[:-1][pick : pick + 1], *narrow[-1:]]
