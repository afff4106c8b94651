"""No reference to a file, wherever in a model it is, leaves the model's folder."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporter.errors import SourceError
from exporter.sources import open_source
from exporter.sources.fingerprint import source_fingerprint
from exporter.sources.onnx_files.external_data import external_files

SECRET = np.arange(4, dtype=np.float32)


def external(location, name="w", offset="0", length="16", dims=(1, 4)):
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL
    )
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])


def constant(tensor, output="w"):
    node = helper.make_node("Constant", [], [output], name="c")
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    return node


ADD = helper.make_node("Add", ["x", "w"], ["y"], name="add")


def model(nodes, initializers=(), functions=()):
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], list(initializers))
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


def initializer(tensor):
    return model([ADD], [tensor])


def attribute(tensor):
    return model([constant(tensor), ADD])


def subgraph(tensor):
    branch = helper.make_graph([helper.make_node("Add", ["x", "w"], ["r"])], "b", [], [value("r")], [tensor])
    yes = helper.make_node(
        "Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])
    )
    return model([yes, helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)])


def function(tensor):
    body = helper.make_function(
        "f", "F", ["x"], ["y"], [constant(tensor), ADD], [helper.make_opsetid("", 23)]
    )
    return model([helper.make_node("F", ["x"], ["y"], domain="f")], functions=[body])


def function_default(tensor):
    proto = function(onnx.numpy_helper.from_array(SECRET.reshape(1, 4), "w"))
    proto.functions[0].attribute_proto.add(name="d", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    return proto


def tensor_list(tensor):
    proto = initializer(onnx.numpy_helper.from_array(SECRET.reshape(1, 4), "w"))
    proto.graph.node[0].attribute.add(name="list", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    return proto


def sparse(tensor):
    proto = initializer(onnx.numpy_helper.from_array(SECRET.reshape(1, 4), "w"))
    proto.graph.sparse_initializer.add(dims=[1, 4]).values.CopyFrom(tensor)
    return proto


def sparse_attribute(tensor):
    proto = initializer(onnx.numpy_helper.from_array(SECRET.reshape(1, 4), "w"))
    added = proto.graph.node[0].attribute.add(name="s", type=onnx.AttributeProto.SPARSE_TENSOR)
    added.sparse_tensor.indices.CopyFrom(tensor)
    return proto


def training(tensor):
    proto = initializer(onnx.numpy_helper.from_array(SECRET.reshape(1, 4), "w"))
    proto.training_info.add().algorithm.initializer.append(tensor)
    return proto


READ = [initializer, attribute, subgraph]
NOT_READ = [function, function_default, tensor_list, sparse, sparse_attribute, training]


def save(proto, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "w.bin").write_bytes(SECRET.tobytes())
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("place", READ)
def test_files_of_the_folder_are_read(tmp_path, place):
    path = save(place(external("w.bin")), tmp_path)
    assert external_files(onnx.load(path, load_external_data=False), path) == (path.with_name("w.bin"),)
    assert source_fingerprint(str(path)) is not None


@pytest.mark.parametrize("place", [initializer, attribute])
def test_the_folder_is_the_models_own_wherever_the_process_runs(tmp_path, monkeypatch, place):
    path = save(place(external("w.bin")), tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "w.bin").write_bytes(np.zeros(4, np.float32).tobytes())
    monkeypatch.chdir(elsewhere)
    (tensor,) = open_source(path).components["model"].model.graph.initializers.values()
    np.testing.assert_array_equal(tensor.const_value.numpy(), SECRET.reshape(1, 4))


@pytest.mark.parametrize("place", [*READ, *NOT_READ])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/os-release", "a/../../secret.bin", ""])
def test_files_outside_are_refused_wherever_they_are_named(tmp_path, place, location):
    path = save(place(external(location)), tmp_path)
    with pytest.raises(SourceError, match=r"outside the folder|reads none"):
        open_source(path)
    assert source_fingerprint(str(path)) is None


@pytest.mark.parametrize("place", NOT_READ)
def test_files_are_read_for_tensors_of_the_graph_alone(tmp_path, place):
    with pytest.raises(SourceError, match="reads none"):
        open_source(save(place(external("w.bin")), tmp_path))


def _link(folder):
    (folder / "odd").symlink_to(folder.parent / "secret.bin")


def _device(folder):
    (folder / "odd").symlink_to("/dev/zero")


def _pipe(folder):
    os.mkfifo(folder / "odd")


def _directory(folder):
    (folder / "odd").mkdir()


@pytest.mark.parametrize("make", [_link, _device, _pipe, _directory])
def test_what_is_no_regular_file_of_the_folder_is_refused(tmp_path, make):
    path = save(initializer(external("odd")), tmp_path)
    make(path.parent)
    with pytest.raises(SourceError, match=r"link points outside|not a regular"):
        open_source(path)


@pytest.mark.parametrize(
    "fields",
    [{"offset": "4"}, {"offset": "-4"}, {"length": "8"}, {"length": "9" * 30}, {"dims": (1 << 40, 4)}],
)
def test_data_outside_their_file_are_refused(tmp_path, fields):
    with pytest.raises(SourceError, match="outside their file"):
        open_source(save(initializer(external("w.bin", **fields)), tmp_path))


@pytest.mark.parametrize("key", ["location", "basepath"])
def test_fields_that_two_readers_may_take_differently_are_refused(tmp_path, key):
    tensor = external("w.bin")
    tensor.external_data.add(key=key, value="../secret.bin")
    with pytest.raises(SourceError, match="not described as ONNX does"):
        open_source(save(initializer(tensor), tmp_path))
