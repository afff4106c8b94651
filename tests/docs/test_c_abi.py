"""The example program of docs/guides/c-abi.md, compiled, linked and executed in emulation."""

import shutil
import subprocess
import sys

import numpy as np
import onnx_ir as ir
import pytest

from npuc.artifact.weights_file import write_weights
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role
from targets.devices.catalogue import device
from targets.tvm.component_compiler import compile_component
from tests.docs.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is not installed")

GRAPH = """
    <ir_version: 10, opset_import: ["" : 23]>
    g (float[4,32] x, float[32,32] w) => (float[4,32] y) { a = MatMul(x, w)  y = Softmax(a) }
"""


@pytest.fixture
def component():
    model = ir.from_onnx_text(GRAPH)
    weight = model.graph.inputs.pop()
    array = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    weight.const_value = ir.tensor(array, name="w")
    model.graph.register_initializer(weight)
    for node in model.graph:
        node.name = node.op_type
    return Component("model", Role.MODEL, Modality.TEXT, model)


@pytest.fixture
def folder(component, tmp_path):
    """The component's files, weights, a reference result and the input."""
    x = np.random.default_rng(1).standard_normal((4, 32)).astype(np.float32)
    np.save(tmp_path / "expected.npy", OnnxExecutor(component.model)({"x": x})["y"])
    x.tofile(tmp_path / "x.bin")
    write_weights({"model": component}, tmp_path)
    cpu = device("galaxy-s25").cpu
    compile_component(component, tmp_path / "weights.bin", cpu.triple, cpu.features, tmp_path)
    return tmp_path


def emulate(folder, *command, **files):
    arguments = [shutil.which("qemu-aarch64"), *command]
    return subprocess.run(arguments, cwd=folder, check=False, timeout=60, **files).returncode


def error_of(folder):
    received = np.fromfile(folder / "y.bin", np.float32).reshape(4, 32)
    return np.abs(received - np.load(folder / "expected.npy")).max()


def test_the_example_program_agrees_with_the_reference(folder):
    build = [
        "-m",
        "ziglang",
        "cc",
        "-target",
        "aarch64-linux-musl",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I.",
    ]
    sources = [str(ROOT / "examples" / "c_abi" / "main.c"), "libmodel.a", "-o", "main"]
    subprocess.run([sys.executable, *build, *sources], cwd=folder, check=True, timeout=300)
    assert emulate(folder, "main", "weights.bin", "x.bin", "y.bin") == 0
    assert error_of(folder) <= 1e-5
    assert emulate(folder, "main", "absent.bin", "x.bin", "y.bin") == 3


def test_the_program_in_the_artifact_reads_and_writes_streams(folder):
    with (folder / "x.bin").open("rb") as source, (folder / "y.bin").open("wb") as sink:
        assert emulate(folder, "model", "weights.bin", stdin=source, stdout=sink) == 0
    assert error_of(folder) <= 1e-5
    with (folder / "x.bin").open("rb") as source:
        assert emulate(folder, "model", "absent.bin", stdin=source, stdout=subprocess.DEVNULL) == 3
