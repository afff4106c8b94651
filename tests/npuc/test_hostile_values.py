"""Values in files of strangers that took a machine, a process or a verdict with them once."""

import json
import os
import re
import struct
import subprocess
import sys
import wave

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.errors import ExportError, SourceError
from exporter.files.toml_file import LINE_DOTS, TomlError, read_toml
from exporter.preprocessing.audio import MAX_RATE, read_wav
from exporter.sources.onnx_files.onnx_operators import check_nodes
from npuc.artifact.manifest import Manifest, TensorRecord, read_manifest
from npuc.artifact.requests import make_request
from npuc.artifact.samples import load_samples
from npuc.errors import ArtifactError, UsageError
from npuc.machine.memory_limit import parse_memory


def model(*nodes, constants=(), kind=TensorProto.FLOAT):
    ends = [helper.make_tensor_value_info(name, kind, [1, 1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("operator", ["Div", "Mod"])
@pytest.mark.parametrize("as_node", [False, True])
def test_integers_are_not_divided_by_minus_one(tmp_path, operator, as_node):
    tensor = numpy_helper.from_array(np.array([3, -1], np.int64), "d")
    node = helper.make_node(operator, ["x", "d"], ["y"])
    constant = [helper.make_node("Constant", [], ["d"], value=tensor)] if as_node else []
    proto = model(*constant, node, constants=[] if as_node else [tensor], kind=TensorProto.INT64)
    with pytest.raises(ExportError, match="divided by -1"):
        check_nodes(proto, tmp_path)
    check_nodes(
        model(
            node, constants=[numpy_helper.from_array(np.array([3], np.int64), "d")], kind=TensorProto.INT64
        ),
        tmp_path,
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [1 << 30]},
        {"kernel_shape": [2], "pads": [1 << 30, 0]},
        {"kernel_shape": [2], "strides": [1 << 40]},
        {"kernel_shape": [2], "dilations": [1 << 40]},
    ],
)
def test_a_window_that_takes_for_ever_is_refused(tmp_path, attributes):
    with pytest.raises(ExportError, match="window"):
        check_nodes(model(helper.make_node("MaxPool", ["x"], ["y"], **attributes)), tmp_path)


def test_a_dotted_key_of_thousands_of_parts_is_refused(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("a" + ".a" * 40_000 + " = 1")
    with pytest.raises(TomlError, match=f"more than {LINE_DOTS} dots"):
        read_toml(path)
    path.write_text("a = " + "9" * 5000)
    with pytest.raises(TomlError):
        read_toml(path)


@pytest.mark.parametrize("command", [["recipe", "check"], ["devices"], ["inspect"]])
def test_a_pipe_is_not_waited_for(tmp_path, command):
    path = tmp_path / "file.toml"
    if command == ["inspect"]:
        path = tmp_path / "artifact"
        path.mkdir()
        os.mkfifo(path / "manifest.json")
    else:
        os.mkfifo(path)
    done = subprocess.run(
        [sys.executable, "-m", "npuc", *command, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2) and "not a regular one" in done.stderr


@pytest.mark.parametrize("what", ["image", "audio", "tensors"])
def test_pictures_sounds_and_tensors_are_files(tmp_path, what):
    path = tmp_path / "input"
    os.mkfifo(path)
    given = {"x": path} if what == "tensors" else path
    with pytest.raises((UsageError, SourceError)):
        make_request(**{what: given})


@pytest.mark.parametrize("dtype", ["S1", "U1", "V4", "complex64", "datetime64[s]"])
def test_a_tensor_holds_numbers(tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.zeros(3, dtype))
    with pytest.raises(UsageError, match="cannot read the tensor"):
        make_request(tensors={"x": tmp_path / "x.npy"})


@pytest.mark.parametrize("rate", [MAX_RATE + 1, 16_000_057])
def test_a_sample_rate_that_nothing_has_is_refused(tmp_path, rate):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack("<h", 1) * 100)
    with pytest.raises(SourceError, match="sample rate"):
        read_wav(tmp_path / "a.wav")


def _set(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


SEGMENT = ("components", 0, "segments", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("components",), []),
        (("components", 0, "segments"), []),
        ((*SEGMENT, "inputs"), [{"name": "x", "dtype": "EVIL", "shape": [1]}]),
        ((*SEGMENT, "inputs"), [{"name": "x", "dtype": "FLOAT", "shape": [-1]}]),
        ((*SEGMENT, "inputs"), [{"name": "x", "dtype": "FLOAT", "shape": [10**30]}]),
        ((*SEGMENT, "executable"), "cpu/\0"),
        ((*SEGMENT, "weight_bytes"), 1 << 70),
        ((*SEGMENT, "agreement", "max_relative_error"), float("inf")),
        (("schema_version",), "x" * 100_000),
    ],
)
def test_a_manifest_with_impossible_values_is_damaged(manifest: Manifest, tmp_path, path, value):
    document = manifest.model_dump(mode="json")
    _set(document, path, value)
    text = (
        json.dumps(document)
        if value != 1 << 70
        else json.dumps(document).replace("1" + "0" * 400, "1" + "0" * 400)
    )
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError) as caught:
        read_manifest(tmp_path)
    assert len(caught.value.render()) < 3000


def test_a_tensor_record_has_an_element_type_that_exists():
    assert TensorRecord(name="x", dtype="FLOAT", shape=(1, 2)).spec().shape == (1, 2)


@pytest.mark.parametrize("key", ["no_slash", "component/first/x"])
def test_samples_with_odd_names_are_damaged(tmp_path, key):
    from safetensors.numpy import save_file

    save_file({key: np.zeros(1, np.float32)}, tmp_path / "samples.safetensors")
    with pytest.raises(ArtifactError, match="samples cannot be read"):
        load_samples(tmp_path)


def test_a_memory_limit_beyond_all_machines_is_refused():
    with pytest.raises(UsageError, match="too large"):
        parse_memory("999999999999999T")


def test_a_users_function_that_ends_the_process_is_an_error(tmp_path):
    (tmp_path / "model.py").write_text("def make():\n    raise SystemExit(0)\n")
    script = "import sys; from exporter.sources import open_source; open_source(sys.argv[1] + ':make')"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model.py")], capture_output=True, text=True
    )
    assert done.returncode == 1 and re.search(r"SourceError: the function fails", done.stderr)


def test_the_reference_prints_no_name_of_the_model(tmp_path, capfd):
    from program.errors import GraphExecutionError
    from program.onnx_executor import plain_session

    evil = "\x1b]0;title\x07\x1b[2Jverified"
    nodes = [helper.make_node("Gather", ["w", "i"], ["y"], name=evil, axis=0)]
    ends = [helper.make_tensor_value_info("i", TensorProto.INT64, [1])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
    weight = numpy_helper.from_array(np.ones(3, np.float32), "w")
    proto = helper.make_model(
        helper.make_graph(nodes, "g", ends, out, [weight]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.save(proto, tmp_path / "m.onnx")
    session = plain_session(tmp_path / "m.onnx")
    with pytest.raises((GraphExecutionError, Exception)):
        session.run(None, {"i": np.array([1 << 40])})
    printed = capfd.readouterr()
    assert "\x1b" not in printed.err + printed.out


def test_names_that_are_no_text_are_refused(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "npuc", "compile", name, "--device", "vivo-x200", "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "not text" in done.stderr) == (2, True)


def test_a_graph_of_garbage_is_one_line(tmp_path):
    from program.errors import GraphExecutionError
    from program.onnx_executor import OnnxExecutor

    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(GraphExecutionError, match=r"model\.onnx cannot be read"):
        OnnxExecutor(tmp_path / "model.onnx")


@pytest.mark.parametrize(("key", "value"), [("source", {}), ("recipe", {})])
def test_a_manifest_says_what_it_was_made_from(manifest: Manifest, tmp_path, key, value):
    document = manifest.model_dump(mode="json") | {key: value}
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="damaged"):
        read_manifest(tmp_path)
