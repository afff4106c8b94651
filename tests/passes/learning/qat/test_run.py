"""Quantisation-aware training of a small program, from requests that its float form answered."""

import numpy as np
import onnx_ir as ir
import pytest
import torch

from exporter.families.generic.runner import GenericRunner
from passes.learning.qat.run import QatOptions, qat_remark, train_quantized, train_quantized_subnetworks
from passes.learning.subnetworks.nested import Subnetwork, narrow
from passes.learning.training.master_weights import float_weights, restore_master_weights
from passes.learning.training.recording import record
from passes.learning.training.replay import Replayed, replay
from passes.learning.training.self_distillation import distillation_losses
from passes.learning.training.torch_graph.program import TorchProgram
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Program, Request, Role
from tests.two_layers import GRAPH, ONLY, float_program, quantized_program, requests

HALF = Subnetwork("half", {"first_weight": 8}, 0.5)


def recordings(program):
    component = program.components[ONLY]
    runner, executor = GenericRunner({ONLY: component.inputs}), OnnxExecutor(component.model)
    return [record(runner, {ONLY: executor}, request, 1) for request in requests()]


@pytest.fixture(scope="module")
def taught():
    program = float_program()
    return float_weights(program), recordings(program)


def reference_loss(program, calls):
    """The training loss of the graph as ONNX Runtime executes it."""
    executor = OnnxExecutor(program.components[ONLY].model)
    dtype = program.components[ONLY].inputs[0].numpy_dtype
    outputs = [
        torch.from_numpy(executor({"x": c[0].feeds["x"].astype(dtype)})["logits"]).float() for c in calls
    ]
    expected = [torch.from_numpy(call[0].outputs["logits"]) for call in calls]
    replayed = Replayed({}, {"logits": torch.stack(outputs)}, {"logits": torch.stack(expected)})
    return distillation_losses({ONLY: replayed})["logits"].item()


@pytest.mark.parametrize(
    ("base", "learn_scales", "rate"), [(Format.FLOAT32, False, 2e-2), (Format.FLOAT16, True, 2e-3)]
)
def test_training_brings_the_written_graph_closer_to_the_float_program(taught, base, learn_scales, rate):
    weights, calls = taught
    program = quantized_program(base)
    before = reference_loss(program, calls)
    options = QatOptions(steps=60, learning_rate=rate, batch_size=4, learn_scales=learn_scales)
    curve = train_quantized(program, weights, calls, options)
    assert curve.losses[0] == pytest.approx(before, rel=0.5)
    assert reference_loss(program, calls) < 0.7 * before
    types = {node.op_type for node in program.components[ONLY].model.graph}
    assert {"QuantizeLinear", "DequantizeLinear"} <= types
    remark = qat_remark(curve, options)
    assert remark.numbers["steps"] == 60 and remark.numbers["loss_last"] < remark.numbers["loss_first"]


def half_loss(program, calls, subnetwork=HALF):
    """The training loss of the quantised program with half of its hidden channels."""
    narrow(program, subnetwork)
    return reference_loss(program, calls)


def test_sub_networks_are_trained_with_the_programs_quantisation(taught):
    weights, calls = taught
    options = QatOptions(steps=60, learning_rate=2e-2, batch_size=4, learn_scales=True)
    alone, together = (quantized_program(Format.FLOAT16) for _ in range(2))
    before = half_loss(quantized_program(Format.FLOAT16), calls)
    train_quantized(alone, weights, calls, options)
    subnetworks = [Subnetwork("full", {}, 1.0), HALF]
    curve, (_, half) = train_quantized_subnetworks(together, weights, subnetworks, calls, options)
    assert len(curve.points) == 60
    assert "half" in qat_remark(curve, options, subnetworks).why
    assert half_loss(together, calls, half) < 0.5 * min(before, half_loss(alone, calls))


def test_the_same_seed_gives_the_same_bytes(taught):
    weights, calls = taught

    def codes():
        program = quantized_program()
        train_quantized(
            program, weights, calls, QatOptions(steps=3, learning_rate=1e-2, batch_size=3, seed=4)
        )
        initializers = program.components[ONLY].model.graph.initializers
        return {name: value.const_value.tobytes() for name, value in initializers.items()}

    assert codes() == codes()


@pytest.mark.parametrize("learn_scales", [False, True])
def test_an_interrupted_training_ends_with_the_same_bytes(taught, tmp_path, learn_scales):
    weights, calls = taught

    def train(checkpoints, on_step=None):
        program = quantized_program()
        options = QatOptions(6, 1e-2, 3, 4, checkpoints, 2, learn_scales=learn_scales)
        curve = train_quantized(program, weights, calls, options, on_step)
        initializers = program.components[ONLY].model.graph.initializers
        return curve, {name: value.const_value.tobytes() for name, value in initializers.items()}

    def interrupt(point):
        if point.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, interrupt)
    resumed = []
    again = train(tmp_path, lambda point: resumed.append(point.step))
    assert resumed == [5, 6]
    assert again == train(None)


def test_master_weights_are_the_float_weights(taught):
    weights, _ = taught
    module = TorchProgram(quantized_program(Format.FLOAT16))
    assert restore_master_weights(module, weights) == 2
    for name, parameter in module.named_weights().items():
        if not name.endswith(".scale"):
            original = weights[name.removesuffix(".e5m2")].numpy()
            assert np.array_equal(parameter.detach().numpy(), original)


def test_the_float_program_gets_the_trained_weights_before_their_rounding(taught):
    weights, calls = taught
    program, master = quantized_program(), float_program()
    options = QatOptions(steps=5, learning_rate=2e-4, batch_size=4)
    train_quantized(program, weights, calls, options, master=master)
    codes = program.components[ONLY].model.graph.initializers
    for name, value in master.components[ONLY].model.graph.initializers.items():
        learned = value.const_value.numpy()
        rounded = codes[f"{name}.e5m2"].const_value.numpy().astype(np.float32)
        scale = codes[f"{name}.e5m2.scale"].const_value.numpy()
        assert learned.dtype == np.float32 and not np.array_equal(learned, weights[name].numpy())
        # two bits of mantissa; the small learning rate keeps weights within the range of their codes
        np.testing.assert_allclose(rounded * scale, learned, rtol=0.126, atol=1e-4 * float(scale.max()))


def test_every_weight_learns_whether_rows_run_together_or_apart(taught):
    _, calls = taught
    gradients = []
    for apart in (False, True):
        module = TorchProgram(quantized_program(Format.FLOAT16))
        module.component(ONLY).checkpointing = apart
        distillation_losses(replay(module, calls[:3]))["logits"].backward()
        weights = module.named_weights()
        gradients.append({name: p.grad for name, p in weights.items() if p.requires_grad})
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 1e-5, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-6)


def test_a_replay_feeds_what_earlier_components_compute():
    """One component feeds the other; the recorded value is used only where nothing was computed."""
    twice = ir.from_onnx_text(f"{GRAPH.splitlines()[0]} g (float[2] x) => (float[2] y) {{ y = Add (x, x) }}")
    negate = ir.from_onnx_text(f"{GRAPH.splitlines()[0]} g (float[2] y) => (float[2] z) {{ z = Neg (y) }}")
    parts = {"twice": twice, "negate": negate}
    components = {name: Component(name, Role.MODEL, Modality.TEXT, model) for name, model in parts.items()}

    class Runner:
        def generate(self, executors, request, max_new_tokens):
            y = executors["twice"]({"x": request.tensors["x"]})["y"]
            executors["negate"]({"y": y})
            executors["negate"]({"y": np.full(2, 5, np.float32)})

    executors = {
        "twice": lambda feeds: {"y": feeds["x"] * 10},  # a teacher that disagrees with the graph
        "negate": lambda feeds: {"z": -feeds["y"]},
    }
    calls = [
        record(Runner(), executors, Request(tensors={"x": np.full(2, x, np.float32)}), 1) for x in (1, 2)
    ]
    assert [dict(call.links) for call in calls[0]] == [{}, {"y": (0, "y")}, {}]
    module = TorchProgram(Program("generic", components, {}, {}, (), {}))
    replayed = replay(module, calls)
    assert replayed["twice"].outputs["y"][:, 0].tolist() == [2, 4]
    assert replayed["negate"].outputs["z"][:, 0].tolist() == [-2, -5, -4]
    assert replayed["negate"].recorded["z"][:, 0].tolist() == [-10, -5, -20]
    # calls that compute the same are one row
    assert replayed["negate"].places == {(0, 1): 0, (0, 2): 1, (1, 1): 2, (1, 2): 1}
    module.component("twice").checkpointing = True
    assert replay(module, calls)["twice"].outputs["y"][:, 0].tolist() == [2, 4]


def test_a_limit_keeps_the_first_calls():
    calls = []

    class Runner:
        def generate(self, executors, request, max_new_tokens):
            for _ in range(5):
                executors[ONLY]({"x": np.zeros(1)})
                calls.append(1)

    kept = record(Runner(), {ONLY: lambda feeds: {"y": feeds["x"]}}, Request(), 1, limit=2)
    assert len(kept) == 2 and len(calls) == 5
