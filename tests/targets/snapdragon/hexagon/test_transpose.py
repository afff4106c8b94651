"""Transposes in the binary, whichever axis the channels go to."""

import numpy as np
import onnx_ir as ir
import pytest

from passes.core.infer_shapes import InferShapes
from program.program import Component, Modality, Role
from targets.snapdragon.hexagon.lower import lower_hexagon
from tests.targets.support import random_feeds


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((1, 32, 4, 16), (0, 2, 3, 1)),  # keys of an attention: channels between rows and columns
        ((1, 4, 32, 16), (0, 1, 3, 2)),
        ((1, 32, 4, 16), (0, 2, 1, 3)),
        ((2, 3, 4, 16), (0, 3, 1, 2)),
        ((2, 3, 16, 4), (0, 1, 3, 2)),
        ((32, 64), (1, 0)),
    ],
)
def test_the_binary_moves_every_code_to_its_place(shape, order, tmp_path):
    to = [shape[axis] for axis in order]
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
        g (float[{",".join(map(str, shape))}] x) => (float[{",".join(map(str, to))}] y)
        <float s = {{0.1}}, uint8 z = {{128}}> {{
            q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)
            t = Transpose<perm=[{",".join(map(str, order))}]>(d)
            p = QuantizeLinear(t, s, z)  y = DequantizeLinear(p, s, z)
        }}"""
    model = ir.from_onnx_text(text)
    InferShapes()(model)
    for index, node in enumerate(model.graph):
        node.name = f"n{index}"
    component = Component("g", Role.MODEL, Modality.VISION, model)
    folder = tmp_path / "g"
    folder.mkdir()
    binary = lower_hexagon(component, folder)
    source, output = binary.program.inputs[0], binary.program.outputs[0]
    given = random_feeds(component)["x"] * 4
    with binary.executor(60) as execute:
        received = execute({source.name: given})[output.name]
    expected = source.dequantize(source.quantize(given)).transpose(order)
    np.testing.assert_array_equal(received, expected)
