import numpy as np
import onnx
from onnx import helper, numpy_helper

from exporter.sources.onnx_files.onnx_skeleton import without_weights


def test_weights_become_inputs_and_shapes_stay():
    x, y = (helper.make_tensor_value_info(name, 1, [1, 128]) for name in "xy")
    weight = numpy_helper.from_array(np.ones((1, 128), np.float32), "w")
    shape = numpy_helper.from_array(np.array([1, 128]), "s")
    nodes = [helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "s"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "", [x], [y], [weight, shape]))
    before = model.SerializeToString()
    skeleton = without_weights(model)
    assert [value.name for value in skeleton.graph.input] == ["x", "w"]
    assert [tensor.name for tensor in skeleton.graph.initializer] == ["s"]
    inferred = onnx.shape_inference.infer_shapes(skeleton, strict_mode=True)
    assert [d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim] == [1, 128]
    assert model.SerializeToString() == before
