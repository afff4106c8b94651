import numpy as np
import onnx_ir as ir
import pytest
import torch

from passes.core.errors import PassError
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.torch_graph.weights import Weights
from passes.learning.training.write_back import write_back, write_back_program
from program.lazy_tensor import BlockwiseTensor
from program.onnx_executor import OnnxExecutor
from tests.two_layers import ONLY, quantized_program

LIMITS = {"normalised": 1e-5, "float16": 2e-3, "fp8": 2e-3}
"""Largest relative error of an output."""


def perturb(module, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in module.named_weights().values():
            weight.mul_(1 + 0.05 * torch.rand_like(weight))


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("model", ["demo", "qwen"])
def test_the_written_program_computes_what_the_module_does(programs, clone_of, feeds_of, model, precision):
    program = clone_of(programs[model, precision])
    before = {name: OnnxExecutor(part.model)(feeds_of(part)) for name, part in program.components.items()}
    names = {name: list(part.model.graph.initializers) for name, part in program.components.items()}
    module = TorchProgram(program, learn_scales=True)
    perturb(module)
    write_back_program(program, module)
    for name, part in program.components.items():
        feeds = feeds_of(part)
        expected, received = module.executors()[name](feeds), OnnxExecutor(part.model)(feeds)
        assert list(part.model.graph.initializers) == names[name]
        for output, values in expected.items():
            wide = values.astype(np.float32)
            error = np.linalg.norm(received[output].astype(np.float32) - wide) / np.linalg.norm(wide)
            assert error <= LIMITS[precision], (name, output, error)
            assert not np.array_equal(received[output], before[name][output])


def test_unchanged_weights_give_the_same_bytes(programs, clone_of):
    for precision in ("normalised", "float16", "fp8"):
        original = programs["demo", precision].components["decode"].model
        model = clone_of(programs["demo", precision]).components["decode"].model
        module = TorchComponent(model, "decode")
        write_back(model, module)
        replaced = 0
        for name, value in model.graph.initializers.items():
            replaced += isinstance(value.const_value, BlockwiseTensor)
            assert value.const_value.dtype == original.graph.initializers[name].const_value.dtype
            assert value.const_value.tobytes() == original.graph.initializers[name].const_value.tobytes(), (
                name
            )
        assert replaced >= len(module.named_weights())


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("block", [0, 2])
def test_codes_are_served_by_rows(parse, axis, block):
    rng = np.random.default_rng(0)
    shape = {(0, 0): (6,), (1, 0): (4,), (0, 2): (3, 4), (1, 2): (6, 2)}[axis, block]
    size = f", block_size={block}" if block else ""
    model = parse(
        f"g (float[2,6] x, int8[6,4] w, float[{','.join(map(str, shape))}] s, int8[{','.join(map(str, shape))}] z) "
        f"=> (float[2,4] y) {{ d = DequantizeLinear<axis={axis}{size}>(w, s, z) y = MatMul(x, d) }}"
    )
    arrays = {"w": rng.integers(-90, 90, (6, 4)).astype(np.int8), "s": rng.uniform(0.01, 0.1, shape).astype("f"),
              "z": rng.integers(-5, 5, shape).astype(np.int8)}  # fmt: skip
    for value in list(model.graph.inputs)[1:]:
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(arrays[value.name], name=value.name)
        model.graph.register_initializer(value)
    module = TorchComponent(model)
    write_back(model, module)
    tensor = model.graph.initializers["w"].const_value
    rows = np.concatenate([tensor.rows(row, row + 1) for row in range(6)])
    np.testing.assert_array_equal(rows, arrays["w"])


def test_codes_are_read_after_their_node_was_replaced():
    def codes(replaced):
        program = quantized_program()
        model = program.components[ONLY].model
        write_back_program(program, TorchProgram(program))
        weights = [v for name, v in model.graph.initializers.items() if name.endswith("_weight.e5m2")]
        if replaced:
            for weight in weights:
                (node,) = weight.consumers()
                for index in range(1, len(node.inputs)):
                    node.replace_input_with(index, None)
        return [weight.const_value.tobytes() for weight in weights]

    assert len(codes(False)) == 2
    assert codes(True) == codes(False)


def test_tensors_read_the_module_when_they_are_written(programs, clone_of):
    component = clone_of(programs["demo", "normalised"]).components["decode"]
    module = TorchComponent(component.model, "decode")
    write_back(component.model, module)
    name = "decoder.norm.weight"
    with torch.no_grad():
        module.named_weights()[name].fill_(7)
    assert np.all(component.model.graph.initializers[name].const_value.numpy() == 7)


def test_another_graph_is_refused_and_left_as_it_is(programs, clone_of):
    program = clone_of(programs["demo", "normalised"])
    model = program.components["decode"].model
    tensors = {name: value.const_value for name, value in model.graph.initializers.items()}
    module = TorchComponent(program.components["fusion"].model, "fusion", Weights())
    with pytest.raises(PassError, match="do not fit the graph"):
        write_back(model, module)
    assert all(model.graph.initializers[name].const_value is tensor for name, tensor in tensors.items())
