"""Models whose sums leave float16, compiled whole for the CPU and for HTP, against ONNX Runtime on the source."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import npuc
from npuc.artifact.feeds import cast_feeds
from npuc.artifact.paths import MODEL_FOLDER
from npuc.compare.source.sample_files import load_labelled
from npuc.settings.recipe import Recipe
from passes.float.scaling.errors import Float16RangeError
from program.agreement import signal_to_noise
from tests.fake_tool import install_fake_tool

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is not installed")

FLOAT16 = Recipe.model_validate(
    {"name": "f16", "precision": dict.fromkeys(("base", "vision", "audio", "text", "fusion"), "float16")}
)
HTP = FLOAT16.with_values("gates", min_sqnr_npu_float16=36.0)
"""Lets a sample at the edge pass whose deviations are a hundredth of their mean, which HTP rounds."""

LEAST = 45.0
"""dB that a float16 model has to keep of its source."""


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path, request):
    if "tool" not in request.fixturenames:
        monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Something in the place of the vendor's tool."""
    install_fake_tool(monkeypatch, tmp_path / "cache")


def _save(path, nodes, constants, shapes):
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", rows[:1], rows[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return path


def _moments(folder):
    """A normalisation from two moments over a long axis."""
    rng, step = np.random.default_rng(2), helper.make_node
    constants = {"w": rng.standard_normal((16, 512)).astype("f4"), "b": np.full(512, 12, "f4")}
    constants |= {"part": np.float32(1 / 512), "tiny": np.float32(1e-6), "last": np.array([-1])}
    constants |= {"v": rng.standard_normal((512, 7)).astype("f4") / 20}
    nodes = [
        step("MatMul", ["x", "w"], ["p"]),
        step("Add", ["p", "b"], ["a"]),
        step("Mul", ["a", "a"], ["aa"]),
    ]
    nodes += [step("ReduceSum", [source, "last"], [total]) for source, total in (("a", "s"), ("aa", "ss"))]
    nodes += [
        step("Mul", ["s", "part"], ["m"]),
        step("Mul", ["ss", "part"], ["mm"]),
        step("Mul", ["m", "m"], ["m2"]),
    ]
    nodes += [
        step("Sub", ["mm", "m2"], ["var"]),
        step("Add", ["var", "tiny"], ["safe"]),
        step("Sqrt", ["safe"], ["d"]),
    ]
    nodes += [
        step("Sub", ["a", "m"], ["c"]),
        step("Div", ["c", "d"], ["n"]),
        step("MatMul", ["n", "v"], ["y"]),
    ]
    return _save(folder / "moments.onnx", nodes, constants, {"x": [3, 16], "y": [3, 7]})


def _length(folder):
    """x / |x| of a vector whose sum of squares leaves float16."""
    step, weight = helper.make_node, np.random.default_rng(3).standard_normal((64, 256)).astype("f4") * 3
    nodes = [
        step("MatMul", ["x", "w"], ["h"]),
        step("ReduceL2", ["h", "last"], ["l"]),
        step("Max", ["l", "tiny"], ["m"]),
        step("Div", ["h", "m"], ["y"]),
    ]
    constants = {"w": weight, "last": np.array([-1]), "tiny": np.float32(1e-3)}
    return _save(folder / "length.onnx", nodes, constants, {"x": [2, 64], "y": [2, 256]})


def _stream(folder, last):
    """Two layers on a residual stream with a channel beyond 65504; `last` is what reads it."""
    rng, step = np.random.default_rng(4), helper.make_node
    constants = {"w": rng.standard_normal((16, 64)).astype("f4"), "g": np.ones(64, "f4")}
    constants["w"][:, 5] *= 30000
    nodes = [step("MatMul", ["x", "w"], ["h0"])]
    for i in (0, 1):
        constants[f"u{i}"] = rng.standard_normal((64, 64)).astype("f4") / 8
        nodes += [
            step("RMSNormalization", [f"h{i}", "g"], [f"n{i}"]),
            step("MatMul", [f"n{i}", f"u{i}"], [f"o{i}"]),
        ]
        nodes += [step("Add", [f"h{i}", f"o{i}"], [f"h{i + 1}"])]
    constants["v"] = rng.standard_normal((64, 9)).astype("f4") / 8
    end = [step("RMSNormalization", ["h2", "g"], ["n2"])] if last == "n2" else []
    nodes += [*end, step("MatMul", [last, "v"], ["y"])]
    return _save(folder / f"stream_{last}.onnx", nodes, constants, {"x": [4, 16], "y": [4, 9]})


MODELS = {
    "moments": _moments,
    "length": _length,
    "stream": lambda folder: _stream(folder, "n2"),
    "stream that comes out": lambda folder: _stream(folder, "h2"),
}


def _ratios(artifact, path):
    """dB of the binaries against ONNX Runtime on the source, for each kept sample."""
    source = onnxruntime.InferenceSession(path)
    (component,) = artifact.manifest.components
    ratios = []
    with artifact.executors() as executors:
        for sample in load_labelled(artifact.folder / MODEL_FOLDER)[component.name]:
            if sample.edge:
                continue
            feed = sample.feeds
            (expected,) = source.run(None, {"x": feed["x"].astype(np.float32)})
            narrow = cast_feeds(feed, [entry.spec() for entry in component.inputs])
            ratios.append(signal_to_noise(expected, executors[component.name](narrow)["y"]))
    return ratios


@pytest.mark.parametrize("name", MODELS)
def test_the_cpu_is_right_in_float16(name, tmp_path):
    path = MODELS[name](tmp_path)
    artifact = npuc.compile(path, device="vivo-x200", out=tmp_path / "out", recipe=FLOAT16, npu="cpu")
    assert min(_ratios(artifact, path)) >= LEAST
    types = {entry.name: entry.spec().dtype.name for entry in artifact.manifest.components[0].outputs}
    assert types == {"y": "FLOAT" if name == "stream that comes out" else "FLOAT16"}


@pytest.mark.parametrize("name", ["moments", "length", "stream"])
def test_htp_is_right_in_float16(name, tool, temporary_folder, tmp_path):
    path = MODELS[name](tmp_path)
    artifact = npuc.compile(path, device="galaxy-s25", out=tmp_path / "out", recipe=HTP, npu="float16")
    assert {s.processor for s in artifact.manifest.components[0].segments} == {"htp"}
    assert min(_ratios(artifact, path)) >= LEAST


def test_htp_takes_another_scheme_for_what_float16_does_not_hold(stand_in, temporary_folder, tmp_path):
    path = MODELS["stream that comes out"](tmp_path)
    artifact = npuc.compile(path, device="galaxy-s25", out=tmp_path / "out", recipe=FLOAT16, npu="auto")
    record = artifact.manifest.components[0].npu
    assert record.scheme == "a16w8" and "float16 does not hold" in record.reason
    assert min(_ratios(artifact, path)) > 30  # 8 bits of weights


def test_what_float16_does_not_hold_is_refused_where_it_was_asked_for(stand_in, temporary_folder, tmp_path):
    path = MODELS["stream that comes out"](tmp_path)
    with pytest.raises(Float16RangeError, match="--npu auto"):
        npuc.compile(path, device="galaxy-s25", out=tmp_path / "out", recipe=FLOAT16, npu="float16")
