"""Trains a few steps under torchrun, once through and once with an interruption. Run by test_distributed.py."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import nn
from torch.nn.functional import mse_loss

from passes.learning.training.batches import DrawnStream
from passes.learning.training.distributed import joined_processes
from passes.learning.training.options import TrainingOptions
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.trainer import Trainer

GRAPH = """
<ir_version: 10, opset_import: ["" : 23]>
graph (float[4,6] x, float[6,6] w0, float[6,6] w1, float[6] b1, float gain, float[6,6] tied) => (float[4,6] y) {
    a = MatMul(x, w0)
    at = MatMul(a, tied)
    b = Tanh(at)
    c = MatMul(b, w1)
    d = Add(c, b1)
    dt = MatMul(d, tied)
    y = Mul(dt, gain)
}
"""
NAMES = {"w0": "layers.0.w", "w1": "layers.1.w", "b1": "layers.1.b", "gain": "gain", "tied": "tied"}
OPTIONS = TrainingOptions(steps=6, learning_rate=1e-2, accumulation=4, clip_norm=0.5)


class KilledError(Exception):
    """Stands for a signal."""


def build_module() -> nn.ModuleDict:
    """An interpreted graph with layers, a weight that both share and a scalar; and a head with dropout."""
    torch.manual_seed(0)
    model = ir.from_onnx_text(GRAPH)
    rng = np.random.default_rng(0)
    for value in model.graph.inputs[1:]:
        value.name = NAMES[value.name]
        value.const_value = ir.tensor(rng.standard_normal(value.shape.numpy()).astype(np.float32))
        model.graph.inputs.remove(value)
        model.graph.register_initializer(value)
    head = nn.Sequential(nn.Dropout(0.1), nn.Linear(6, 2))
    return nn.ModuleDict({"graph": TorchComponent(model), "head": head})


def train(options: TrainingOptions, killed_at: int | None = None) -> list[float]:
    """Trains and returns the losses; drawing the batches of step `killed_at` fails."""
    module = build_module()
    stream: DrawnStream[torch.Tensor]

    def draw(rng: np.random.Generator) -> torch.Tensor:
        if killed_at is not None and stream.state_dict()["position"] > killed_at * options.accumulation:
            raise KilledError
        return torch.from_numpy(rng.standard_normal((4, 6)).astype(np.float32))

    def loss(x: torch.Tensor) -> dict[str, torch.Tensor]:
        graph = module["graph"]({"x": x})["y"]
        return {
            "graph": (graph - x.flip(1)).square().mean(),
            "head": mse_loss(module["head"](graph), x[:, :2]),
        }

    stream = DrawnStream(draw, 0)
    return list(Trainer(module, loss, stream, options).run().losses)


def main(output: Path) -> None:
    """Writes the losses of both runs."""
    torch.set_num_threads(1)
    with joined_processes() as processes:
        whole = train(OPTIONS)
        options = dataclasses.replace(OPTIONS, checkpoints=output / "checkpoints", checkpoint_every=1)
        with contextlib.suppress(KilledError):
            train(options, killed_at=3)
        resumed = train(options)
        if processes.is_main:
            result = {"processes": processes.count, "whole": whole, "resumed": resumed}
            (output / "losses.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
