"""A few steps of quantisation-aware training on the bundled model, written back and run by the reference."""

import numpy as np
import torch

from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.write_back import write_back
from program.onnx_executor import OnnxExecutor

COMPONENT, OUTPUT, STEPS = "vision_encoder", "vision_summary", 20


def train(program, samples, targets):
    """Brings the FP8 component closer to the float32 outputs; returns the losses and the trained module."""
    torch.manual_seed(0)
    module = TorchComponent(program.components[COMPONENT].model, COMPONENT)
    optimizer = torch.optim.Adam([w for w in module.parameters() if w.requires_grad], lr=1e-4)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        pairs = zip(samples, targets, strict=True)
        loss = torch.stack([(module(x)[OUTPUT] - y).square().mean() for x, y in pairs]).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, module


def test_training_brings_fp8_closer_to_float32_and_repeats_itself(programs, clone_of, feeds_of):
    teacher = programs["demo", "normalised"].components[COMPONENT]
    student = clone_of(programs["demo", "fp8"])
    arrays = [feeds_of(teacher, seed) for seed in range(2)]
    samples = [{name: torch.from_numpy(array) for name, array in feeds.items()} for feeds in arrays]
    expected = [OnnxExecutor(teacher.model)(feeds)[OUTPUT] for feeds in arrays]
    losses, module = train(student, samples, [torch.from_numpy(values) for values in expected])
    assert np.mean(losses[-4:]) < 0.75 * losses[0]
    again, _ = train(student, samples, [torch.from_numpy(values) for values in expected])
    assert again == losses

    def reference_error():
        executor = OnnxExecutor(student.components[COMPONENT].model)
        half = [{name: array.astype(np.float16) for name, array in feeds.items()} for feeds in arrays]
        return np.mean(
            [np.square(executor(f)[OUTPUT] - y).mean() for f, y in zip(half, expected, strict=True)]
        )

    before = reference_error()
    write_back(student.components[COMPONENT].model, module)
    assert reference_error() < 0.75 * before
