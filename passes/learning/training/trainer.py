"""The training loop: AdamW, mixed precision, accumulation, checkpoints, one process or many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic

import torch
from torch import nn

from passes.learning.training.batches import Batch, BatchStream, skip, to_device
from passes.learning.training.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from passes.learning.training.distributed import (
    average_whole_gradients,
    current_processes,
    divided_like,
    gathered,
    shard,
)
from passes.learning.training.errors import TrainingError
from passes.learning.training.gradients import LossScale, gradient_norm, scale_gradients
from passes.learning.training.loss_curve import LossCurve, LossPoint
from passes.learning.training.options import TrainingOptions

Loss = Callable[[Batch], Mapping[str, torch.Tensor]]
OnStep = Callable[[LossPoint], None]
Update = Callable[[torch.optim.Optimizer], None]

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""Names of AdamW's tensors in torch's optimizer state."""

_FIRST_SCALE = 2.0**16


class Trainer(Generic[Batch]):
    """Trains a module in place.

    In several processes (see `passes.learning.training.distributed`) the weights are divided layer by layer, each
    process takes every n-th batch of a step, and the result is that of one process but for the order of additions.
    Random numbers drawn in a step depend on the seed and the batch's number alone, so that a resumed run repeats an
    uninterrupted one.

    Args:
        module: Holds everything that is trained, what only the loss uses too (put several modules in a
            `nn.ModuleDict`); float32 parameters, on the device to train on.
        loss: Batch → terms by name, each a scalar, with their weights in them; their sum is minimised. It must call
            `module` or parts of it.
        batches: Where the run begins (or, after an interruption, any state: the checkpoint's is loaded).
        options: How long and how fast.
        on_step: Called in the main process after each step.
        update: Takes a step of the optimizer, in every process; default: its `step`.

    Raises:
        TrainingError: Options, module and processes do not fit together.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss[Batch],
        batches: BatchStream[Batch],
        options: TrainingOptions,
        on_step: OnStep | None = None,
        update: Update | None = None,
    ) -> None:
        self._module = module
        self._batches = batches
        self._options = options
        self._on_step = on_step
        self._update: Update = update or _step
        self._processes = current_processes()
        self._root = _Step(module, loss)
        self._check()
        if self._processes.count > 1:
            shard(self._root)
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(
            _groups(self._parameters, options.weight_decay), lr=0.0, betas=options.betas, eps=options.epsilon
        )
        self._scale = LossScale(_FIRST_SCALE if options.precision == "float16" else 1.0)
        self._points: list[LossPoint] = []

    def run(self) -> LossCurve:
        """Trains to the last step, from the newest checkpoint if there is one.

        Returns:
            The curve of all steps.

        Raises:
            TrainingError: A checkpoint does not fit, or the loss is not finite.
        """
        options = self._options
        first = self._resume()
        iterator = iter(self._batches)
        self._module.train()
        for step in range(first, options.steps):
            self._points.append(self._train_step(step, iterator))
            due = (step + 1) % options.checkpoint_every == 0 or step + 1 == options.steps
            if options.checkpoints is not None and due:
                self._save(step + 1)
            if self._on_step is not None and self._processes.is_main:
                self._on_step(self._points[-1])
        self._module.eval()
        return LossCurve(tuple(self._points))

    @property
    def _device(self) -> torch.device:
        return next(iter(self._parameters.values())).device

    def _check(self) -> None:
        if not any(parameter.requires_grad for parameter in self._module.parameters()):
            raise TrainingError("the module has no parameter to train", received=type(self._module).__name__)
        if self._options.accumulation % self._processes.count:
            raise TrainingError(
                "the batches of a step cannot be dealt out evenly",
                received=f"accumulation {self._options.accumulation}, {self._processes.count} processes",
                remedy="make accumulation a multiple of the number of processes",
            )

    def _train_step(self, step: int, batches: Iterator[Batch]) -> LossPoint:
        options, rate = self._options, self._options.learning_rate_at(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        terms = self._accumulate(step, batches)
        loss = sum(terms.values())
        if not math.isfinite(loss):
            raise self._diverged(step, f"loss {terms}")
        average_whole_gradients(self._module, self._processes)
        norm = gradient_norm(self._parameters.values(), self._processes) / self._scale.value
        overflowed = not math.isfinite(norm)
        if overflowed and (options.precision != "float16" or self._scale.value < 1):
            raise self._diverged(step, f"gradient of norm {norm}")
        if not overflowed:
            shortened = min(1.0, options.clip_norm / max(norm, 1e-30))
            scale_gradients(self._parameters.values(), shortened / self._scale.value)
            self._update(self._optimizer)
        if options.precision == "float16":
            self._scale.update(overflowed)
        return LossPoint(step + 1, loss, terms, rate, None if overflowed else norm)

    def _accumulate(self, step: int, batches: Iterator[Batch]) -> dict[str, float]:
        """Adds up the gradients of this process' batches; returns the mean terms over all processes."""
        options, processes = self._options, self._processes
        own = options.accumulation // processes.count
        sums: dict[str, torch.Tensor] = {}
        for place in range(options.accumulation):
            if place % processes.count != processes.rank:
                skip(batches)
                continue
            terms = self._forward(to_device(next(batches), self._device), step * options.accumulation + place)
            total = torch.stack([term.float() for term in terms.values()]).sum()
            (total * (self._scale.value / own)).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(total.detach())) + term.detach().float() / own
        names = sorted(sums)
        means = processes.sum(torch.stack([sums[name] for name in names])) / processes.count
        return dict(zip(names, means.tolist(), strict=True))

    def _forward(self, batch: Batch, number: int) -> Mapping[str, torch.Tensor]:
        device, narrow = self._device, self._options.precision != "float32"
        dtype = torch.float16 if self._options.precision == "float16" else torch.bfloat16
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            # splitmix64's odd constant spreads consecutive numbers over all seeds
            torch.manual_seed((self._options.seed + number * 0x9E3779B97F4A7C15) % (1 << 63))
            with torch.autocast(device.type, dtype, enabled=narrow):
                terms: Mapping[str, torch.Tensor] = self._root(batch)
        return terms

    def _diverged(self, step: int, received: str) -> TrainingError:
        return TrainingError(
            "training diverged: a value is not finite",
            where=f"step {step + 1} of {self._options.steps}",
            received=received,
            remedy="lower learning_rate, lengthen warmup_steps, or train in float32",
        )

    def _save(self, step: int) -> None:
        options = self._options
        tensors = self._tensors()
        if self._processes.is_main and options.checkpoints is not None:
            write_checkpoint(options.checkpoints, step, tensors, self._state(), options.keep_checkpoints)
        else:
            for _ in tensors:  # every process takes part in gathering
                pass
        self._processes.wait()

    def _state(self) -> dict[str, Any]:
        state = self._optimizer.state
        return {
            "options": self._options.decisive(),
            "stream": self._batches.state_dict(),
            "loss_scale": [self._scale.value, self._scale.steps],
            "updates": {n: float(state[p]["step"]) for n, p in self._parameters.items() if p in state},
            "curve": LossCurve(tuple(self._points)).to_json(),
        }

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameter in self._parameters.items():
            yield f"weight/{name}", gathered(parameter)
            for moment in _MOMENTS:
                if parameter in self._optimizer.state:
                    yield f"{moment}/{name}", gathered(self._optimizer.state[parameter][moment])
        for name, buffer in _persistent_buffers(self._module).items():
            yield f"buffer/{name}", gathered(buffer)

    def _resume(self) -> int:
        """Loads the newest checkpoint; returns the steps done."""
        folder = self._options.checkpoints
        newest = None if folder is None else newest_checkpoint(folder)
        if newest is None:
            return 0
        checkpoint = Checkpoint(newest)
        state = checkpoint.state
        if state["options"] != self._options.decisive():
            raise TrainingError(
                "the checkpoint was written with other options",
                where=str(newest),
                received=_difference(state["options"], self._options.decisive()),
                remedy="train with the same options, or start in an empty checkpoint folder",
            )
        with torch.no_grad():
            self._load_tensors(checkpoint)
        self._batches.load_state_dict(state["stream"])
        self._scale = LossScale(*state["loss_scale"])
        self._points = list(LossCurve.from_json(state["curve"]).points)
        return int(state["step"])

    def _load_tensors(self, checkpoint: Checkpoint) -> None:
        updates = checkpoint.state["updates"]
        for name, parameter in self._parameters.items():
            shape = tuple(parameter.shape)
            parameter.copy_(divided_like(checkpoint.tensor(f"weight/{name}", shape), parameter))
            if name in updates:
                moments = {
                    moment: divided_like(checkpoint.tensor(f"{moment}/{name}", shape), parameter)
                    for moment in _MOMENTS
                }
                self._optimizer.state[parameter] = {"step": torch.tensor(updates[name]), **moments}
        for name, buffer in _persistent_buffers(self._module).items():
            buffer.copy_(checkpoint.tensor(f"buffer/{name}", tuple(buffer.shape)))


class _Step(nn.Module):
    """Calls the loss as a module's forward pass, where FSDP2 can gather what no layer owns."""

    def __init__(self, module: nn.Module, loss: Loss[Any]) -> None:
        super().__init__()
        self.module = module
        self._loss = loss

    def forward(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """Batch → terms."""
        return self._loss(batch)


def _step(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()


def _groups(parameters: Mapping[str, nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, vectors and scalars do not; scalars are apart, as FSDP2 leaves them whole."""
    kinds: dict[int, list[nn.Parameter]] = {}
    for parameter in parameters.values():
        kinds.setdefault(min(parameter.ndim, 2), []).append(parameter)
    return [
        {"params": kinds[ndim], "weight_decay": weight_decay if ndim == 2 else 0.0} for ndim in sorted(kinds)
    ]


def _persistent_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    kept = module.state_dict().keys()
    return {name: buffer for name, buffer in module.named_buffers() if name in kept}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name)} before, {now.get(name)} now" for name in changed)
