"""Gains and biases that a sub-network has in place of the full network's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from passes.float.precision import PrecisionPolicy
from passes.learning.pruning.dependencies import Dependencies, analyse
from passes.learning.pruning.plan import PlanOptions
from passes.learning.subnetworks.nested import Subnetwork, derive, nested_groups
from passes.learning.subnetworks.own_vectors import RATE, OwnVectors, narrowed_components
from passes.learning.subnetworks.train import SubnetworkOptions, subnetwork_training_remark, train_subnetworks
from passes.learning.training.errors import TrainingError
from passes.learning.training.recording import Call
from passes.learning.training.torch_graph.program import TorchProgram
from passes.pipeline import quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Program


@pytest.fixture
def dependencies(bert: Program) -> Dependencies:
    return analyse(bert)


@pytest.fixture
def small(dependencies: Dependencies) -> Subnetwork:
    widths = {group.name: group.size // 2 for group in nested_groups(dependencies, PlanOptions())}
    return Subnetwork("small", widths, 0.5)


def test_vectors_start_as_the_full_networks_and_learn_faster(
    bert: Program, dependencies: Dependencies, small: Subnetwork
) -> None:
    module = TorchProgram(bert)
    vectors = OwnVectors(bert, module, dependencies, [Subnetwork("full", {}, 1.0), small])
    weights = {name: weight for name, weight in module.named_weights().items() if weight.ndim == 1}
    own = vectors.of(small)
    assert own.keys() == weights.keys() and len(own) > 10
    assert all(torch.equal(own[name], weight) for name, weight in weights.items())
    with torch.no_grad():
        for change in vectors.changes:
            change.fill_(0.5)
    full, trained = vectors.given_to([Subnetwork("full", {}, 1.0), small])
    assert full.vectors == {}
    name = min(own)
    expected = weights[name].detach().numpy() + 0.5 * RATE
    np.testing.assert_allclose(trained.vectors[name], expected)
    again = OwnVectors(bert, module, dependencies, [trained])
    np.testing.assert_allclose(again.of(trained)[name].detach().numpy(), expected)


def test_only_narrowed_components_have_some(qwen: Program) -> None:
    dependencies = analyse(qwen)
    group = next(group for group in dependencies.groups if "visual" in group.name and group.kind == "ffn")
    seeing = Subnetwork("seeing", {group.name: 8}, 0.9)
    assert narrowed_components(dependencies, seeing) == {"vision_encoder"}
    own = OwnVectors(qwen, TorchProgram(qwen), dependencies, [seeing]).of(seeing)
    assert own and all("visual" in name for name in own)


@pytest.mark.parametrize("base", [Format.FLOAT32, Format.FLOAT16])
def test_derived_graphs_compute_with_them(
    bert: Program, fresh: Callable, small: Subnetwork, base: Format
) -> None:
    program = fresh(bert)
    initializers = program.components["model"].model.graph.initializers
    bias = max((name for name in initializers if name.endswith("bias")), key=str)
    size = int(initializers[bias].shape[0])
    quantize(program.components["model"], PrecisionPolicy(base=base, by_modality={}), {})
    ids = np.arange(12).reshape(1, 12)

    def run(subnetwork: Subnetwork) -> np.ndarray:
        graph = derive(program, subnetwork)["model"].model
        assert (f"{bias}.small" in graph.graph.initializers) == bool(subnetwork.vectors)
        return next(iter(OnnxExecutor(graph)({"ids": ids}).values()))

    original = np.asarray(initializers[bias].const_value.numpy(), np.float32)
    unchanged = dataclasses.replace(small, vectors={bias: original})
    np.testing.assert_array_equal(run(unchanged), run(small))
    other = dataclasses.replace(small, vectors={bias: np.ones(size, np.float32)})
    assert not np.array_equal(run(other), run(small))
    assert bias in program.components["model"].model.graph.initializers


def test_a_kept_full_network_is_the_same_bytes(bert: Program, fresh: Callable, small: Subnetwork) -> None:
    program = fresh(bert)
    executor = OnnxExecutor(program.components["model"].model)
    rng = np.random.default_rng(0)
    feeds = [{"ids": rng.integers(0, 50, (1, 12))} for _ in range(8)]
    made = [(Call("model", feed, executor(feed), {}),) for feed in feeds]
    before = weights_of(program)
    options = SubnetworkOptions(steps=20, learning_rate=1e-3, batch_size=4, keep_full=True)
    subnetworks = [Subnetwork("full", {}, 1.0), small]
    curve, (full, trained) = train_subnetworks(program, analyse(program), subnetworks, made, options)
    assert weights_of(program) == before and full == subnetworks[0]
    assert trained.vectors and curve.mean(18, 20) < 0.9 * curve.mean(1, 3)
    assert "gains and biases of narrowed networks" in subnetwork_training_remark(curve, options).why


def test_a_kept_full_network_without_anything_to_train_is_an_error(bert: Program, fresh: Callable) -> None:
    program, options = fresh(bert), SubnetworkOptions(keep_full=True)
    without_vectors = [Subnetwork("full", {}, 1.0)]
    with pytest.raises(TrainingError, match="no gains or biases") as caught:
        train_subnetworks(program, analyse(program), without_vectors, [], options)
    assert "steps = 0" in caught.value.render()


def weights_of(program: Program) -> dict[str, bytes]:
    initializers = program.components["model"].model.graph.initializers
    return {name: value.const_value.tobytes() for name, value in initializers.items() if value.const_value}
