"""Targets as npuc uses them: found by name, coverage before lowering, binaries that execute."""

import dataclasses
import json

import numpy as np
import pytest

from program.agreement import relative_error
from program.onnx_executor import OnnxExecutor
from targets.contract.names import CPU, REFUSED
from targets.contract.registry import find_target, target_names
from targets.contract.target import Lowered
from targets.devices.catalogue import device
from targets.errors import TargetError
from targets.placing.coverage import CoverageError
from tests.targets.support import make_component, random_feeds, write_weights

_TEXT = "(float[1,8,64] x) => (y) { h = MatMul(x, w) y = Relu(h) }"


def _component():
    weight = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    return make_component(_TEXT, {"w": weight})


@pytest.mark.parametrize("name", ["xiaomi-15", "vivo-x300", "iphone-17-pro"])
def test_lowered_component_executes_and_agrees(tmp_path, name):
    component, entry = _component(), device(name)
    weights = write_weights([component], tmp_path)
    target, steps = find_target(entry.target), []
    lowered = target.lower(component, entry, weights, tmp_path, steps.append)
    assert steps
    assert all((tmp_path / file).is_file() for file in lowered.files)
    assert Lowered.from_json(json.loads(json.dumps(dataclasses.asdict(lowered)))) == lowered
    feeds = random_feeds(component)
    with target.execute(component, lowered, tmp_path, weights) as execute:
        actual = execute(feeds)
    assert relative_error(OnnxExecutor(component.model)(feeds)["y"], actual["y"]) < 1e-6
    assert lowered.policy == {"float32": "native"}
    assert lowered.weight_bytes == 64 * 96 * 4
    assert lowered.kernels == lowered.calls == 1


def test_apple_library_is_mach_o_and_said_not_to_be_executed(tmp_path):
    component, entry = _component(), device("iphone-17-pro")
    weights = write_weights([component], tmp_path)
    lowered = find_target("apple").lower(component, entry, weights, tmp_path)
    assert (tmp_path / "model_kernels.o").read_bytes()[:4] == bytes.fromhex("cffaedfe")
    assert (tmp_path / "libmodel.a").read_bytes().startswith(b"!<arch>\n")
    assert not lowered.executed
    assert "was not executed" in lowered.execution_note


def test_refused_nodes_end_in_a_table_before_anything_is_written(tmp_path):
    component = make_component("(float[4] x) => (y) { a = Mish(x) b = Relu(a) y = Mish(b) }")
    with pytest.raises(CoverageError) as caught:
        find_target("arm").lower(component, device("xiaomi-15"), tmp_path / "weights.bin", tmp_path)
    assert caught.value.exit_code == 3
    placements = [node.placement for node in caught.value.coverage.nodes]
    assert placements == [REFUSED, CPU, REFUSED]
    assert "Mish" in caught.value.render()
    assert caught.value.coverage.counts() == {"cpu": 1, "refused": 2}
    assert not list(tmp_path.iterdir())


def test_estimate_counts_weights_state_and_products():
    component, entry = _component(), device("xiaomi-15")
    estimate = find_target(entry.target).estimate(component, entry)
    assert estimate.weight_bytes == 64 * 96 * 4
    assert estimate.state_bytes == (8 * 64 + 8 * 96) * 4
    assert estimate.macs == 8 * 64 * 96
    total = estimate.weight_bytes + estimate.state_bytes
    assert estimate.seconds == pytest.approx(total / (entry.memory.bandwidth.value * 1e9))


def test_estimate_counts_only_the_rows_a_gather_reads():
    table = {"w": np.zeros((1000, 16), np.float32)}
    component = make_component("(int64[3] i) => (y) { y = Gather(w, i) }", table)
    assert find_target("arm").estimate(component, device("xiaomi-15")).weight_bytes == 3 * 16 * 4


def test_all_built_in_targets_are_found_by_name():
    assert set(target_names()) >= {"apple", "arm", "mediatek", "snapdragon"}
    assert [find_target(name).name for name in target_names()] == list(target_names())


def test_unknown_target_lists_the_known_ones():
    with pytest.raises(TargetError) as caught:
        find_target("pentium")
    assert "snapdragon" in caught.value.remedy
