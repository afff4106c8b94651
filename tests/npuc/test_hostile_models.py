"""Model files from strangers end in one clear message, or in a right and harmless artifact."""

import itertools
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.sources.sizes.value_sizes import MAX_NODES
from tests.exporter.sources.torch_programs.pt2_files import edit_graph, save_small

ROW = [1, 4]
OPSETS = [helper.make_opsetid("", 23), helper.make_opsetid("f", 1)]
CLOSING = "x */ static int injected = 1; /*"
STRANGE = "[red]\x1b[2J`$(x)`\n'\"<b>"


def value(name, shape=ROW, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, initializers=(), x="x", y="y", functions=(), shape=ROW):
    graph = helper.make_graph(nodes, "g", [value(x, shape)], [value(y, shape)], list(initializers))
    return helper.make_model(graph, opset_imports=OPSETS, functions=list(functions), ir_version=10)


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def call(name, source, result):
    return helper.make_node(name, [source], [result], domain="f")


def function(name, nodes):
    return helper.make_function("f", name, ["x"], ["y"], nodes, OPSETS)


def grown(*nodes, **arrays):
    """A value `c` made from constants, added to the input."""
    end = [
        helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    return model([*nodes, *end], [tensor(name, array) for name, array in arrays.items()])


def reads_a_file():
    stored = TensorProto(name="w", data_type=1, dims=ROW, data_location=TensorProto.EXTERNAL)
    for key, text in {"location": "/etc/os-release", "offset": "0", "length": "16"}.items():
        stored.external_data.add(key=key, value=text)
    node = helper.make_node("Constant", [], ["w"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(stored)
    body = function("F", [node, helper.make_node("Add", ["x", "w"], ["y"])])
    return model([call("F", "x", "y")], functions=[body])


def without_inputs():
    graph = helper.make_graph([node("Add", "c", "c", "y")], "g", [], [value("y")], [tensor("c", ONES)])
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=10)


def doubling():
    names = [*(f"F{index}" for index in range(30)), None]
    functions = [
        function(
            name,
            [call(after, "x", "a"), call(after, "a", "y")]
            if after
            else [helper.make_node("Relu", ["x"], ["y"])],
        )
        for name, after in itertools.pairwise(names)
    ]
    return model([call("F0", "x", "y")], functions=functions)


def for_ever():
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["v"], ["w"])],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v")],
        [value("on", [], TensorProto.BOOL), value("w")],
    )
    sizes = [tensor("n", np.int64(1 << 60)), tensor("t", np.bool_(True))]
    return model([helper.make_node("Loop", ["n", "t", "x"], ["y"], body=body)], sizes)


def raw(kind, dims, **content):
    return TensorProto(name="w", data_type=kind, dims=dims, **content)


def chain():
    names = ["x", *(f"v{index}" for index in range(MAX_NODES)), "y"]
    return model([node("Relu", *pair) for pair in itertools.pairwise(names)])


def recursive():
    return model([call("F", "x", "y")], functions=[function("F", [call("F", "x", "y")])])


def computed_range():
    nodes = [node("Mul", "b", "b", "e"), node("Range", "a", "e", "d", "c")]
    return grown(*nodes, a=np.float32(0), b=np.float32(2**17), d=np.float32(1))


def padded():
    return grown(node("Pad", "o", "s", "c"), o=np.ones((1, 1), np.float32), s=np.array([0, 0, *LARGE]))


def node(op, *names, **attributes):
    return helper.make_node(op, list(names[:-1]), [names[-1]], **attributes)


RELU = node("Relu", "x", "y")
ADD = node("Add", "x", "w", "y")
ONES = np.ones(ROW, np.float32)
ONE = tensor("w", ONES)
POSITIVE = [[0, 0, 1, 2]]
LARGE = np.array([1 << 16, 1 << 16])

REFUSED = {
    "a function that reads a file": (2, reads_a_file),
    "a function that calls itself": (2, recursive),
    "functions that double": (3, doubling),
    "a loop for ever": (3, for_ever),
    "a chain of 10001 nodes": (3, chain),
    "two nodes that make one output": (2, lambda: model([RELU, node("Neg", "x", "y")])),
    "a cycle": (
        2,
        lambda: model([node("Add", "x", "b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]),
    ),
    "no inputs": (3, without_inputs),
    "an empty graph": (2, lambda: model([])),
    "an input that nothing makes": (2, lambda: model([node("Add", "x", "absent", "y")])),
    "too few bytes": (2, lambda: model([ADD], [raw(1, ROW, raw_data=b"\0" * 13)])),
    "too few bytes of many": (2, lambda: model([ADD], [raw(1, [64, 4], raw_data=b"\0" * 13)])),
    "a negative size": (2, lambda: model([ADD], [raw(1, [-1, 4], raw_data=b"")])),
    "a text tensor": (3, lambda: model([ADD], [raw(8, [1], string_data=[b"x"])])),
    "an input of a terabyte": (3, lambda: model([RELU], shape=[1 << 20, 1 << 18])),
    "a constant of 16 GiB": (3, lambda: grown(node("ConstantOfShape", "s", "c"), s=LARGE)),
    "a tile of 16 GiB": (
        3,
        lambda: grown(node("Tile", "o", "s", "c"), o=np.ones((1, 1), np.float32), s=LARGE),
    ),
    "a pad of 16 GiB": (3, padded),
    "a range of 64 GiB": (3, computed_range),
    "vectors that double": (
        3,
        lambda: grown(
            *(node("Concat", *[f"k{index}"] * 2, f"k{index + 1}", axis=0) for index in range(30)),
            node("Cast", "k30", "c", to=1),
            k0=np.array([1, 1]),
        ),
    ),
}


@pytest.mark.parametrize(("code", "make"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_is_refused_with_one_message(npuc, tmp_path, code, make):
    path = tmp_path / "m.onnx"
    path.write_bytes(make().SerializeToString())
    _is_refused(npuc, path, code)


@pytest.mark.parametrize("data", [b"", b"\x08", b"\0" * 100, b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_is_no_onnx_is_refused(npuc, tmp_path, data):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    _is_refused(npuc, path, 2)


def test_a_name_that_is_no_text_is_refused(npuc, tmp_path):
    path = tmp_path / "m.onnx"
    named = model([node("Relu", "x", "y", name="nnnn")]).SerializeToString()
    path.write_bytes(named.replace(b"nnnn", b"\xff\xfe\xfd\xfc"))
    _is_refused(npuc, path, 2)


def _is_refused(npuc, path, code):
    result = npuc("compile", path, "--device", "galaxy-s25", "--npu", "cpu", "-o", path.parent / "out")
    assert result.code == code, result.err
    assert result.err.startswith("error: ") and "Traceback" not in result.err
    assert [line for line in result.err.splitlines() if not line.startswith(("error:", "  "))] == []
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (model([ADD], [ONE]), [[0, 1, 2, 3]]),
        (model([node("Relu", "x", "z")], [tensor("y", ONES)]), ONES),
        (model([node("Constant", "y", value=ONE)]), ONES),
        (model([node("Relu", CLOSING, "y")], x=CLOSING), POSITIVE),
        (model([node("Relu", "x", "../out/y:0")], y="../out/y:0"), POSITIVE),
        (model([node("Relu", STRANGE, "y", name=STRANGE)], x=STRANGE), POSITIVE),
    ],
    ids=["plain", "an initializer as the output", "a constant", "closes a comment", "slashes", "strange"],
)
def test_an_odd_but_legal_file_gives_a_right_artifact(npuc, tmp_path, proto, expected):
    path, out, saved = tmp_path / "m.onnx", tmp_path / "built", tmp_path / "saved"
    path.write_bytes(proto.SerializeToString())
    result = npuc("compile", path, "--device", "galaxy-s25", "--npu", "cpu", "-o", out)
    assert result.code == 0, result.err
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    (component,) = manifest["components"]
    assert component["inputs"][0]["name"] == proto.graph.input[0].name
    header = (out / "cpu" / "model.h").read_text("utf-8")
    assert header.count("/*") == header.count("*/") and "\x1b" not in header + result.err
    np.save(tmp_path / "row.npy", np.array([[-1, 0, 1, 2]], np.float32))
    ran = npuc("run", out, "--input", f"{proto.graph.input[0].name}={tmp_path / 'row.npy'}", "--save", saved)
    assert ran.code == 0 and "\x1b" not in ran.out
    (file,) = saved.iterdir()
    np.testing.assert_allclose(np.load(file), expected, atol=1e-2)
    assert {entry.name for entry in tmp_path.iterdir()} == {"m.onnx", "built", "row.npy", "saved"}
    assert npuc("inspect", out, "--layers").code == 0


def test_guards_of_an_exported_program_are_not_run(npuc, tmp_path):
    marker, path = tmp_path / "code_was_run", save_small(tmp_path / "m.pt2")
    code = f"__import__('pathlib').Path({str(marker)!r}).touch() is None"
    edit_graph(path, lambda document: document.update(guards_code=[code]))
    result = npuc("compile", path, "--device", "galaxy-s25", "--npu", "cpu", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert not marker.exists()
