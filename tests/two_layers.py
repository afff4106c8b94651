"""A program of two products with weights, in float32 and quantised to E5M2, and requests to it."""

import numpy as np
import onnx_ir as ir

from passes.core.infer_shapes import InferShapes
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import PrecisionPolicy
from passes.pipeline import quantize
from program.number_format import Format
from program.program import Component, Modality, Program, Request, Role

GRAPH = """<ir_version: 10, opset_import: ["" : 23]>
two_layers (float[4, 12] x) => (float[4, 6] logits)
<float[2] first_weight = {0, 0}, float[2] second_weight = {0, 0}> {
    h = MatMul (x, first_weight)
    a = Relu (h)
    logits = MatMul (a, second_weight)
}"""
ONLY = "model"


def float_program():
    model = ir.from_onnx_text(GRAPH)
    rng = np.random.default_rng(0)
    for index, (name, shape) in enumerate({"first_weight": (12, 16), "second_weight": (16, 6)}.items()):
        values = (rng.standard_normal(shape) * rng.choice([0.02, 1.0], (1, shape[1]))).astype(np.float32)
        value = model.graph.initializers[name]
        value.const_value, value.shape = ir.tensor(values, name=name), ir.Shape(shape)
        model.graph[2 * index].name = f"layer_{index}"
    component = Component(ONLY, Role.MODEL, Modality.TEXT, model)
    InferShapes()(model)
    for node in model.graph:
        node.metadata_props["npuc.modality"] = "text"
    return Program("generic", {ONLY: component}, {}, {}, (), {})


def quantized_program(base=Format.FLOAT32):
    program = float_program()
    component = program.components[ONLY]
    policy = PrecisionPolicy(base=base, by_modality={Modality.TEXT: Format.E5M2})
    feeds = [{"x": request.tensors["x"]} for request in requests()]
    quantize(component, policy, calibrate(component.model, feeds, policy, calibration_method("absmax")))
    return program


def requests(count=8):
    rng = np.random.default_rng(1)
    return [Request(tensors={"x": rng.standard_normal((4, 12)).astype(np.float32)}) for _ in range(count)]
