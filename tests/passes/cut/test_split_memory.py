"""Memory of a decoder that is cut and written part by part follows the part, not the decoder."""

import tracemalloc

import numpy as np
import onnx_ir as ir

from exporter.modality import SCOPE_KEY
from npuc.artifact.weights_file import write_weights
from passes.cut.split_program import part_bytes, split_program
from program.lazy_tensor import BlockwiseTensor
from program.program import Component, Modality, Program, Role
from tests.graphs import make_model

WIDTH = 512
LAYER_BYTES = 4 * WIDTH * WIDTH


def _program(layers):
    """Layers x ← Relu(x · w_l) with weights that exist only while they are written."""
    steps, inputs = [], [f"float[1, {WIDTH}] h0"]
    for layer in range(layers):
        inputs.append(f"float[{WIDTH}, {WIDTH}] w{layer}")
        steps += [f"m{layer} = MatMul(h{layer}, w{layer})", f"h{layer + 1} = Relu(m{layer})"]
    model = make_model(f"g ({', '.join(inputs)}) => (float[1, {WIDTH}] h{layers}) {{ {' '.join(steps)} }}")
    for value in list(model.graph.inputs)[1:]:
        model.graph.inputs.remove(value)
        value.const_value = BlockwiseTensor(
            lambda start, stop: np.ones((stop - start, WIDTH), np.float32),
            ir.DataType.FLOAT,
            (WIDTH, WIDTH),
            name=value.name,
            block_bytes=1 << 14,
        )
        model.graph.register_initializer(value)
    for index, node in enumerate(model.graph):
        node.metadata_props[SCOPE_KEY] = f"layers.{index // 2}"
    return Program(
        family="test",
        components={"decode": Component("decode", Role.DECODE, Modality.TEXT, model)},
        settings={},
        assets={},
        requests=(),
        provenance={},
    )


def _peak(layers, folder):
    program = _program(layers)
    tracemalloc.start()
    split_program(program, limit=2 * LAYER_BYTES)
    for part in program.components.values():
        (folder / part.name).mkdir()
        written = write_weights({part.name: part}, folder / part.name)
        assert written == part_bytes(part) <= 2 * LAYER_BYTES
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(program.components) == layers // 2
    return peak


def test_memory_stays_below_one_layer(tmp_path):
    """16 layers, of which two are a part."""
    assert _peak(16, tmp_path) < LAYER_BYTES / 2
