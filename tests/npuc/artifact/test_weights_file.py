import errno

import numpy as np
import onnx_ir as ir
import pytest

from npuc.artifact.weights_file import ALIGNMENT, WEIGHTS_NAME, append_weights, write_weights
from npuc.errors import ResourceError
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role


def _component(name, weights):
    text = f"<ir_version: 10, opset_import: ['' : 23]> {name} (float[1,32] x) => (float[1,32] y) {{ y = Add(x, x) }}"
    model = ir.from_onnx_text(text.replace("'", '"'))
    graph = model.graph
    total = graph.inputs[0]
    graph.remove(next(iter(graph)), safe=False)
    for index, (weight, array) in enumerate(weights.items()):
        value = ir.Value(name=weight, const_value=ir.tensor(array, name=weight))
        value.dtype, value.shape = ir.DataType.FLOAT, ir.Shape(array.shape)
        graph.register_initializer(value)
        node = ir.Node("", "MatMul", [total, value], name=f"n{index}")
        node.outputs[0].dtype, node.outputs[0].shape = ir.DataType.FLOAT, ir.Shape([1, 32])
        graph.append(node)
        total = node.outputs[0]
    graph.outputs[0] = total
    return Component(name, Role.MODEL, Modality.TEXT, model)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((32, 32)).astype(np.float32) for name in ("shared", "a.only", "b.only")}


def test_shared_weight_is_written_once_and_results_stay(tmp_path, arrays):
    components = {
        "a": _component("a", {"shared": arrays["shared"], "a.only": arrays["a.only"]}),
        "b": _component("b", {"shared": arrays["shared"], "b.only": arrays["b.only"]}),
    }
    feeds = {"x": np.ones((1, 32), np.float32)}
    before = {name: OnnxExecutor(component.model)(feeds) for name, component in components.items()}
    advanced = []
    size = write_weights(components, tmp_path, advanced.append)
    assert size == 3 * 32 * 32 * 4 == (tmp_path / WEIGHTS_NAME).stat().st_size
    assert sum(advanced) == size
    for name, component in components.items():
        ir.save(component.model, tmp_path / f"{name}.onnx")
        after = OnnxExecutor(tmp_path / f"{name}.onnx")(feeds)
        for left, right in zip(before[name].values(), after.values(), strict=True):
            np.testing.assert_array_equal(left, right)


def test_what_is_new_in_a_derived_graph_comes_behind_the_rest(tmp_path, arrays):
    full = {"a": _component("a", {"shared": arrays["shared"]})}
    before = write_weights(full, tmp_path)
    content = (tmp_path / WEIGHTS_NAME).read_bytes()
    derived = _component("b", {"shared": arrays["shared"], "b.only": arrays["b.only"]})
    initializers = derived.model.graph.initializers
    initializers["shared"].const_value = full["a"].model.graph.initializers["shared"].const_value
    assert append_weights({"b": derived}, tmp_path) == before + arrays["b.only"].nbytes
    assert initializers["b.only"].const_value.offset == before
    assert (tmp_path / WEIGHTS_NAME).read_bytes() == content + arrays["b.only"].tobytes()
    assert append_weights({"b": derived}, tmp_path) == before + arrays["b.only"].nbytes


def test_offsets_are_aligned_and_sorted_by_name(tmp_path, arrays):
    component = _component("a", dict(arrays))
    write_weights({"a": component}, tmp_path)
    offsets = {name: value.const_value.offset for name, value in component.model.graph.initializers.items()}
    assert all(offset % ALIGNMENT == 0 for offset in offsets.values())
    assert sorted(offsets, key=offsets.__getitem__) == sorted(offsets)


def test_small_initializers_stay_in_the_graph(tmp_path):
    component = _component("a", {"w": np.eye(32, dtype=np.float32)})
    bias = ir.Value(name="bias", const_value=ir.tensor(np.ones(4, np.float32), name="bias"))
    component.model.graph.register_initializer(bias)
    write_weights({"a": component}, tmp_path)
    assert not isinstance(component.model.graph.initializers["bias"].const_value, ir.ExternalTensor)
    assert isinstance(component.model.graph.initializers["w"].const_value, ir.ExternalTensor)


def test_small_tensor_of_another_file_moves_into_the_graph(tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "out").mkdir()
    bias = np.arange(32, dtype=np.float32)
    (tmp_path / "user" / "model.safetensors").write_bytes(bias.tobytes())
    component = _component("a", {"w": np.eye(32, dtype=np.float32)})
    external = ir.ExternalTensor(
        "model.safetensors",
        0,
        128,
        ir.DataType.FLOAT,
        shape=ir.Shape([32]),
        name="b",
        base_dir=tmp_path / "user",
    )
    value = ir.Value(
        name="b", const_value=external, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([32])
    )
    component.model.graph.register_initializer(value)
    write_weights({"a": component}, tmp_path / "out")
    ir.save(component.model, tmp_path / "out" / "a.onnx")
    np.testing.assert_array_equal(
        ir.load(tmp_path / "out" / "a.onnx").graph.initializers["b"].const_value.numpy(), bias
    )


def test_same_input_same_bytes(tmp_path, arrays):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_weights({"a": _component("a", dict(arrays))}, tmp_path / name)
    assert (tmp_path / "one" / WEIGHTS_NAME).read_bytes() == (tmp_path / "two" / WEIGHTS_NAME).read_bytes()


def test_full_disk(tmp_path, arrays):
    class Full(ir.Tensor):
        def tofile(self, file):
            raise OSError(errno.ENOSPC, "No space left on device")

    component = _component("a", {"w": arrays["shared"]})
    component.model.graph.initializers["w"].const_value = Full(arrays["shared"])
    with pytest.raises(ResourceError, match="No space left") as caught:
        write_weights({"a": component}, tmp_path)
    assert caught.value.exit_code == 4
