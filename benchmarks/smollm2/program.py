"""Captures SmolLM2 as a program of one component."""

from __future__ import annotations

import onnx_ir as ir
import torch

from benchmarks.smollm2.model import LanguageModel
from benchmarks.smollm2.text import Batch, Logits
from benchmarks.smollm2.weights import LlamaConfig
from exporter.capture import Capture, capture_module
from exporter.sources.torch_programs.python_factory import bind_tensors
from passes.learning.training.torch_graph.program import TorchProgram
from passes.pipeline import directly_read_weights, normalize
from program.program import Component, Feeds, Modality, Program, Role, TensorSpec

COMPONENT, INPUT, OUTPUT = "model", "input_ids", "logits"


def capture(config: LlamaConfig, weights: dict[str, torch.Tensor], size: int, length: int) -> Program:
    """Returns the normalised program for `size` texts of `length` tokens."""
    with torch.device("meta"):
        module = LanguageModel(config)
    module.load_state_dict(weights, assign=True)
    inputs = (TensorSpec(INPUT, ir.DataType.INT64, (size, length)),)
    what = Capture(COMPONENT, Role.MODEL, Modality.TEXT, inputs, (OUTPUT,))
    component = capture_module(module, what, bind_tensors(dict(module.named_parameters())))
    program = Program("generic", {COMPONENT: component}, {}, {}, (), {})
    normalize(component, directly_read_weights(program))
    return program


def copy(program: Program) -> Program:
    """Returns a program with a graph of its own; weights stay shared until a pass replaces them."""
    old = program.components[COMPONENT]
    component = Component(old.name, old.role, old.modality, old.model.clone())
    return Program("generic", {COMPONENT: component}, {}, {}, (), {})


def feed(batch: Batch) -> Feeds:
    """Returns what the component is fed for a batch."""
    return {INPUT: batch.ids.numpy()}


def logits(module: TorchProgram) -> Logits:
    """Returns the component as a function of token ids."""

    def run(ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = module(COMPONENT, {INPUT: ids})[OUTPUT]
        return result

    return run
