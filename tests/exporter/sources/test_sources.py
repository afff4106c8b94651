"""Each kind of source, and what is said when it cannot be read."""

import io
import json
import zipfile

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper

from exporter.errors import ExportError, RequestError, SourceError
from exporter.families.registry import FAMILIES
from exporter.options import CaptureOptions
from exporter.sources import open_source
from program.onnx_executor import OnnxExecutor
from program.program import Modality, Request

FACTORY = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(10, 4)
        self.head = torch.nn.Linear(4, 10, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids, scale):
        return self.head(self.table(ids) * scale), ids + 1

def build():
    torch.manual_seed(0)
    return Net(), (torch.tensor([[1, 9, 3]]), torch.full((1, 3, 4), 2.0))

def by_name():
    module, (ids, scale) = build()
    return module, {"scale": scale, "ids": ids}

def fails():
    raise RuntimeError("no such weights")

def wrong():
    return 3

def no_tensor():
    return Net(), (1, 2)

def dynamic():
    class Guarded(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x
    return Guarded(), (torch.ones(2),)
"""


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(FACTORY)
    return path


def run(program, request=None):
    component = program.components["model"]
    runner = FAMILIES["generic"].runner(program.settings, program.assets, {"model": component.inputs})
    return runner.generate(
        {"model": OnnxExecutor(component.model)}, request or program.requests[0], 0
    ).tensors


@pytest.mark.parametrize("function", ["build", "by_name"])
def test_a_factory(factory, function):
    program = open_source(f"{factory}:{function}")
    outputs = run(program)
    namespace = {}
    exec(FACTORY, namespace)  # noqa: S102
    module, (ids, scale) = namespace["build"]()
    expected, following = module(ids, scale)
    first, second = outputs.values()
    np.testing.assert_allclose(first, expected.detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(second, following.numpy())
    weights = [name for name in program.components["model"].model.graph.initializers if "/" not in name]
    assert len(weights) == 1  # tied
    assert program.components["model"].modality == Modality.TEXT
    assert all(request.tensors["ids"].max() <= 9 for request in program.requests)


@pytest.mark.parametrize(
    ("function", "message", "code"),
    [
        ("fails", r"(?s)function fails.*line 2\d.*RuntimeError: no such weights", 2),
        ("missing", r"(?s)no such function.*build, by_name", 2),
        ("", "no name after the colon", 2),
        ("wrong", r"(?s)something else.*int", 3),
        ("no_tensor", r"(?s)ids is a int", 3),
        ("dynamic", r"(?s)cannot export.*Guarded", 3),
    ],
)
def test_faults_of_a_factory(factory, function, message, code):
    with pytest.raises(ExportError, match=message) as caught:
        open_source(f"{factory}:{function}")
    assert caught.value.exit_code == code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "does not exist"),
        ("none.py:build", "Python file does not exist"),
        ("none.onnx", "does not exist"),
        ("net.py", "name its function"),
        ("notes.txt", "not of a kind"),
        (".", r"no config\.json"),
        ("bad.onnx", "damaged"),
        ("bad.pt2", "damaged"),
    ],
)
def test_what_is_no_model(factory, name, message):
    folder = factory.parent
    for file in ("notes.txt", "bad.onnx", "bad.pt2"):
        (folder / file).write_bytes(b"\xff\xfe not a model")
    with pytest.raises(SourceError, match=message):
        open_source(folder / name)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, picture):
        return self.layer(picture) + self.shift


@pytest.fixture
def pt2(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "small.pt2"
    torch.export.save(torch.export.export(Small(), (torch.ones(1, 3, 2, 4),)), path)
    return path


def test_an_exported_program(pt2):
    program = open_source(pt2)
    torch.manual_seed(0)
    expected = Small()(torch.ones(1, 3, 2, 4)).detach().numpy()
    (actual,) = run(program).values()
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert program.components["model"].modality == Modality.VISION


def rewrite(path, change):
    """Copies the archive, passing each entry through `change(inner name, data)`; None drops it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            changed = change(name.partition("/")[2], data)
            archive.writestr(name, data if changed is None else changed)
    return path


class Bomb:
    def __reduce__(self):
        return (print, ("code of the model was run",))


def pickled():
    buffer = io.BytesIO()
    torch.save(Bomb(), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("entry", "change", "message"),
    [
        ("data/sample_inputs/model.pt", lambda _: pickled(), "sample inputs"),
        (
            "data/weights/model_weights_config.json",
            lambda data: data.replace(b'"use_pickle": false', b'"use_pickle": true'),
            "a pickled tensor",
        ),
        (
            "models/model.json",
            lambda data: data.replace(b"torch.ops.aten.linear.default", b"torch.os.system"),
            r"operator torch\.os\.system",
        ),
        (
            "models/model.json",
            lambda data: data.replace(b'"as_int": 3', b'"as_expr": {"expr_str": "s0"}'),
            "s0",
        ),
    ],
)
def test_archives_that_might_run_code_are_refused_unread(pt2, capsys, entry, change, message):
    def apply(name, data):
        if name != entry:
            return None
        changed = change(data)
        assert changed != data
        return changed

    with pytest.raises(ExportError, match=message):
        open_source(rewrite(pt2, apply))
    assert "code of the model" not in capsys.readouterr().out


def test_unknown_entries_are_refused(pt2):
    with zipfile.ZipFile(pt2, "a") as archive:
        archive.writestr("small/data/constants/custom_obj_0", pickled())
    with pytest.raises(SourceError, match="custom_obj_0"):
        open_source(pt2)


SQUARE = np.arange(16, dtype=np.float32).reshape(4, 4)


def make_onnx(
    path, *, shape=(1, 4), op="MatMul", domain="", opset=23, weight=SQUARE, external=False, location="w.bin"
):
    tensor = onnx.numpy_helper.from_array(weight, "w")
    if external:
        (path.parent / "w.bin").write_bytes(weight.tobytes())
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(weight.nbytes)}.items():
            tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], name="product", domain=domain)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [tensor],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.mark.parametrize("opset", [23, 18, 13])
@pytest.mark.parametrize("external", [False, True])
def test_an_onnx_file(tmp_path, opset, external):
    program = open_source(make_onnx(tmp_path / "m.onnx", opset=opset, external=external))
    model = program.components["model"].model
    assert model.opset_imports[""] == 23
    x = np.array([[1, 2, 3, 4]], np.float32)
    (actual,) = run(program, Request(tensors={"x": x})).values()
    np.testing.assert_allclose(actual, x @ np.arange(16).reshape(4, 4))
    if external:
        assert isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)


def test_initializers_need_not_be_inputs_in_old_files_either(tmp_path):
    proto = onnx.load(make_onnx(tmp_path / "m.onnx", opset=9))
    proto.ir_version = 3
    onnx.save(proto, tmp_path / "m.onnx")
    assert list(open_source(tmp_path / "m.onnx").components["model"].model.graph.initializers) == ["w"]


def test_an_operator_that_onnx_cannot_infer(tmp_path):
    proto = onnx.parser.parse_model(
        """<ir_version: 7, opset_import: ["" : 13]> g (float[1,2,3,4] x) => (float[1,2,3,4] y) {
        y = MeanVarianceNormalization(x) }"""
    )
    onnx.save(proto, tmp_path / "m.onnx")
    assert open_source(tmp_path / "m.onnx").components["model"].outputs[0].shape == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": ("batch", 4)}, r"(?s)dynamic shape.*input x.*batch.*--input-shape x=1,4"),
        ({"shape": (-1, 4)}, r"(?s)dynamic shape.*--input-shape x=1,4"),
        ({"shape": ("batch", "rows", 4)}, r"(?s)--input-shape x=1,…,4"),
        ({"op": "MatMulTypo"}, r"(?s)not part of standard ONNX.*product.*MatMulTypo"),
        ({"op": "MatMul", "domain": "com.example"}, r"(?s)node product.*com\.example::MatMul"),
        ({"op": "CumProd", "opset": 26, "weight": np.array(1)}, "cannot be brought to opset 23"),
        ({"external": True, "location": "../w.bin"}, "outside the folder"),
        ({"external": True, "location": "/etc/passwd"}, "outside the folder"),
        ({"external": True, "location": "absent.bin"}, "missing"),
    ],
)
def test_onnx_files_that_are_refused(tmp_path, changes, message):
    with pytest.raises(ExportError, match=message):
        open_source(make_onnx(tmp_path / "m.onnx", **changes))


def test_external_data_that_are_too_short(tmp_path):
    path = make_onnx(tmp_path / "m.onnx", external=True)
    (tmp_path / "w.bin").write_bytes(b"\0" * 10)
    with pytest.raises(SourceError, match="outside their file"):
        open_source(path)


def test_same_seed_same_requests(tmp_path):
    path = make_onnx(tmp_path / "m.onnx")
    first, second = (open_source(path, CaptureOptions(seed=3, requests=2)) for _ in range(2))
    np.testing.assert_array_equal(first.requests[1].tensors["x"], second.requests[1].tensors["x"])
    with pytest.raises(RequestError, match=r"(?s)missing.*x"):
        run(first, Request())


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"cache_length": 0}, {"image_size": (0, 4)}])
def test_options_are_checked(options):
    with pytest.raises(SourceError):
        CaptureOptions(**options)


def test_an_unknown_architecture_lists_what_is_supported(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ExportError, match=r"(?s)'llama'.*multimodal_transformer, qwen3_vl.*\.onnx"):
        open_source(tmp_path)


def _shaped(path, nodes, shapes, initializers=(), sizes=()):
    """A graph of float inputs with the given shapes; `sizes` are stated of values between."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    between = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sizes]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "rows"])]
    tensors = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in initializers]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors, value_info=between)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _open_shaped(path, **shapes):
    return open_source(path, CaptureOptions(input_shapes=shapes)).components["model"]


def test_a_chosen_shape_replaces_what_the_file_states_of_other_values(tmp_path):
    """Names of open sizes, and -1 as Paddle writes it."""
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"])]
    path = _shaped(tmp_path / "m.onnx", nodes, {"x": ("batch", "rows")}, sizes=[("a", (-1, -1))])
    component = _open_shaped(path, x=(2, 3))
    assert component.inputs[0].shape == component.outputs[0].shape == (2, 3)


def test_what_is_computed_from_a_chosen_shape_is_folded(tmp_path):
    """A position table cut to the length of the input, behind a chain that shape inference alone cannot follow."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["length"]),
        helper.make_node("Unsqueeze", ["length", "axes"], ["lengths"]),
        helper.make_node("Slice", ["indices", "axes", "lengths"], ["chosen"]),
        helper.make_node("Gather", ["table", "chosen"], ["rows"]),
        helper.make_node("Add", ["x", "rows"], ["y"]),
    ]
    tensors = [
        ("one", np.int64(1)),
        ("axes", np.zeros(1, np.int64)),
        ("indices", np.arange(8)),
        ("table", np.arange(8, dtype=np.float32)),
    ]
    component = _open_shaped(_shaped(tmp_path / "m.onnx", nodes, {"x": ("n", "m")}, tensors), x=(2, 5))
    assert component.outputs[0].shape == (2, 5)
    assert [node.op_type for node in component.model.graph][-1] == "Add"
    assert "Shape" not in [node.op_type for node in component.model.graph]


def test_a_padding_made_of_a_filling_is_folded(tmp_path):
    nodes = [
        helper.make_node(
            "ConstantOfShape", ["two"], ["zeros"], value=onnx.numpy_helper.from_array(np.zeros(1, np.int64))
        ),
        helper.make_node("Concat", ["zeros", "ends"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["y"]),
    ]
    tensors = [("two", np.array([2])), ("ends", np.array([1, 3]))]
    component = _open_shaped(_shaped(tmp_path / "m.onnx", nodes, {"x": (2, 4)}, tensors))
    assert component.outputs[0].shape == (3, 7)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"z": (1, 4)}, r"(?s)no input of this name.*z.*the inputs are x"),
        ({"x": (1, 5)}, r"(?s)does not fit.*input x.*\[1, 5\]"),
        ({"x": (1, 4, 1)}, r"(?s)does not fit"),
        ({"x": (0, 4)}, r"(?s)sizes of input x must be 1 or more"),
    ],
)
def test_shapes_that_do_not_fit_an_onnx_file(tmp_path, shapes, message):
    path = make_onnx(tmp_path / "m.onnx", shape=("batch", 4))
    with pytest.raises(ExportError, match=message):
        _open_shaped(path, **shapes)


def test_shapes_are_chosen_of_onnx_files_only(tmp_path):
    with pytest.raises(SourceError, match=r"(?s)\.onnx files only.*example inputs"):
        open_source(tmp_path, CaptureOptions(input_shapes={"x": (1,)}))
