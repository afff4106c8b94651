"""Whole networks as static programs; the object for the device."""

import struct
from pathlib import Path

import numpy as np
import pytest
from tvm.script.ir_builder import tirx as T

from exporter.families.multimodal_transformer.preprocessor import REFERENCE_LOG_MEL
from exporter.options import CaptureOptions
from exporter.sources.onnx_files.onnx_file import open_onnx
from npuc.demo.dataset import demo_requests, load_kinds
from npuc.demo.questions import Kind
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.errors import ExecutionError, TargetError
from targets.snapdragon.hexagon.assembly import assemble, vector_instructions
from targets.snapdragon.hexagon.kernels.writer import write_kernel
from targets.snapdragon.hexagon.lower import lower_hexagon, lower_program
from targets.snapdragon.hexagon.processor import DEVICE
from targets.snapdragon.hexagon.program.layout_pass import packed_steps
from tests.targets.snapdragon.hexagon import programs
from tests.targets.snapdragon.hexagon.graphs import network
from tests.targets.support import random_feeds

KEYWORD = Path(__file__).with_name("keyword.onnx")
"""Written by `python -m benchmarks.hexagon_keyword`: tells the tens word of a spoken number."""

HEXAGON_MACHINE = 164
"""`EM_QDSP6` of the ELF specification."""


@pytest.fixture(scope="module")
def keyword(tmp_path_factory):
    (component,) = open_onnx(KEYWORD, CaptureOptions()).components.values()
    return component, lower_hexagon(component, tmp_path_factory.mktemp("keyword"))


@pytest.fixture(scope="module")
def heard():
    """Spectrograms of the shipped test set's questions about the sound alone, and the tens of the numbers said."""
    pairs = zip(demo_requests("test"), load_kinds("test"), strict=True)
    said = [request for request, kind in pairs if kind == Kind.SAID]
    inputs = [REFERENCE_LOG_MEL(request.audio, request.sample_rate)[None] for request in said]
    return inputs, np.asarray([int(request.answer) // 10 for request in said])


def test_keyword_network_runs_whole_on_the_emulator(keyword, heard):
    component, binary = keyword
    source, output = binary.program.inputs[0], binary.program.outputs[0]
    reference = OnnxExecutor(component.model, threads=1)
    with binary.executor(60) as execute:
        emulated = np.concatenate([execute({source.name: row})[output.name] for row in heard[0]])
    expected = np.concatenate([reference({source.name: row})[output.name] for row in heard[0]])
    exact = [binary.program.reference({source.name: source.quantize(row)})[output.name] for row in heard[0]]
    np.testing.assert_array_equal(emulated, output.dequantize(np.concatenate(exact)))
    assert signal_to_noise(expected, emulated) > 45
    assert (emulated.argmax(axis=-1) == heard[1]).mean() > 0.85


def test_files_are_for_hexagon(keyword):
    binary = keyword[1]
    assert all((binary.folder / name).is_file() for name in binary.files)
    for name in (binary.executable, binary.device_object):
        header = (binary.folder / name).read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", header, 18) == (HEXAGON_MACHINE,)


def test_device_kernels_use_hvx(keyword):
    steps = packed_steps(keyword[1].program).steps
    convolution = next(step.kernel.function for step in steps if step.kernel.name == "convolution")
    vectors = vector_instructions(assemble({"kernel": convolution}, DEVICE))
    assert sum("vrmpy" in line for line in vectors) >= 32
    assert len(vectors) > 100


def test_same_program_gives_the_same_bytes(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        binary = lower_program(programs.program("vector", programs.convolutions()[1:2]), folder)
    for name in binary.files:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_network_with_every_kind_of_operation(tmp_path):
    component = network()
    binary = lower_hexagon(component, tmp_path)
    feeds = random_feeds(component)
    source, output = binary.program.inputs[0], binary.program.outputs[0]
    expected = binary.program.reference({source.name: source.quantize(feeds[source.name])})[output.name]
    with binary.executor(60) as execute:
        np.testing.assert_array_equal(execute(feeds)[output.name], output.dequantize(expected))


def test_float_on_hvx_is_compiled_only():
    """The emulator executes no HVX float; LLVM's code for it is looked at."""

    def body(writer):
        x, y = (writer.buffer("float32", 32) for _ in range(2))
        value = x[T.ramp(0, 1, 32)]
        T.buffer_store(y, value * value, [T.ramp(0, 1, 32)])

    kernel = write_kernel("square", body).function
    assembly = assemble({"square": kernel}, DEVICE, features=("+hvx-qfloat",))
    assert any("qf32 = vmpy" in line for line in vector_instructions(assembly))


def test_wrong_shape_and_foreign_program_are_errors(keyword, tmp_path):
    binary = keyword[1]
    source = binary.program.inputs[0]
    with binary.executor() as execute, pytest.raises(TargetError, match="wrong type or shape"):
        execute({source.name: np.zeros((1, 2), np.float32)})
    with binary.executor() as execute, pytest.raises(TargetError, match="input is missing"):
        execute({})
    truncated = tmp_path / "truncated"
    truncated.write_bytes((binary.folder / binary.executable).read_bytes()[:1000])
    truncated.chmod(0o755)
    executor = type(binary.executor())(truncated, binary.program.inputs, binary.program.outputs, 10)
    with executor as execute, pytest.raises(ExecutionError, match="ended with"):
        execute({source.name: np.zeros(source.shape, np.float32)})
