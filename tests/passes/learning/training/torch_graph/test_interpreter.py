import copy
import pickle

import numpy as np
import onnx_ir as ir
import pytest
import torch

from npuc.demo.dataset import demo_requests
from passes.core.errors import PassError
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.torch_graph.weights import Weights
from program.onnx_executor import OnnxExecutor

MODELS = ("demo", "qwen")


def both(program, feeds_of):
    """Component name, expected and received outputs."""
    executors = TorchProgram(program).executors()
    for name, component in program.components.items():
        feeds = feeds_of(component)
        yield name, OnnxExecutor(component.model)(feeds), executors[name](feeds)


@pytest.mark.parametrize("precision", ["captured", "normalised"])
@pytest.mark.parametrize("model", MODELS)
def test_float32_outputs_equal_onnx_runtime(programs, feeds_of, model, precision):
    for component, expected, received in both(programs[model, precision], feeds_of):
        assert list(received) == list(expected)
        for name, values in expected.items():
            assert received[name].dtype == values.dtype
            np.testing.assert_allclose(
                received[name], values, rtol=1e-5, atol=1e-5, err_msg=f"{component} {name}"
            )


@pytest.mark.parametrize("precision", ["float16", "fp8"])
@pytest.mark.parametrize("model", MODELS)
def test_rounded_outputs_equal_the_reference_to_a_few_roundings(programs, feeds_of, model, precision):
    equal = []
    for component, expected, received in both(programs[model, precision], feeds_of):
        for name, values in expected.items():
            assert received[name].dtype == values.dtype == np.float16
            difference = np.linalg.norm((received[name] - values).astype(np.float32))
            assert difference <= 2e-3 * np.linalg.norm(values.astype(np.float32)), (component, name)
            equal.append((received[name] == values).mean())
    assert np.mean(equal) > 0.8  # most are equal to the bit; sums in another order round differently


def test_the_fp8_program_answers_as_its_reference(programs):
    from exporter.families.registry import FAMILIES

    program = programs["demo", "fp8"]
    signatures = {name: component.inputs for name, component in program.components.items()}
    runner = FAMILIES[program.family].runner(program.settings, program.assets, signatures)
    reference = {name: OnnxExecutor(part.model) for name, part in program.components.items()}
    ours = TorchProgram(program).executors()
    for request in demo_requests("test")[:4]:
        assert runner.generate(ours, request, 6).tokens == runner.generate(reference, request, 6).tokens


def test_weights_are_shared_once_and_named_as_initializers(programs):
    program = programs["qwen", "normalised"]
    module = TorchProgram(program)
    weights = module.named_weights()
    assert "model.language_model.norm.weight" in weights
    for name in set(program.components["prefill"].model.graph.initializers) & set(weights):
        assert module.component("decode").named_weights()[name] is weights[name]
    assert len(list(module.parameters())) == len(weights)
    assert not any("/" in name for name in weights)


def test_blocks_follow_the_layers(programs):
    module = TorchProgram(programs["qwen", "fp8"])
    assert {"layers:0", "layers:1", "layers:2"} <= set(module.component("decode").blocks)
    names = set(module.component("decode").blocks["layers:1"].weight_names.values())
    assert names
    assert all(".layers.1." in name or "/" in name for name in names)


def loss_and_gradients(module, feeds):
    module.zero_grad()
    outputs = module(feeds)
    loss = sum(value.square().mean() for value in outputs.values())
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in module.named_weights().items()
                         if weight.grad is not None}  # fmt: skip


@pytest.mark.parametrize("precision", ["normalised", "fp8"])
def test_checkpointing_changes_no_gradient_and_every_weight_has_one(programs, feeds_of, precision):
    component = programs["demo", precision].components["decode"]
    feeds = {name: torch.from_numpy(array) for name, array in feeds_of(component).items()}
    module = TorchComponent(component.model, "decode")
    loss, gradients = loss_and_gradients(module, feeds)
    module.checkpointing = True
    again, recomputed = loss_and_gradients(module, feeds)
    assert again == loss
    assert {name for name, weight in module.named_weights().items() if weight.requires_grad} == set(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(recomputed[name], gradient, rtol=0, atol=0)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_a_module_can_be_copied_pickled_and_loaded_again(programs, feeds_of):
    component = programs["demo", "fp8"].components["text_encoder"]
    module = TorchComponent(component.model, "text_encoder")
    feeds = {name: torch.from_numpy(array) for name, array in feeds_of(component).items()}
    expected = module(feeds)["text_tokens"]
    other = pickle.loads(pickle.dumps(copy.deepcopy(module)))  # noqa: S301 - our own bytes
    for weight in other.parameters():
        weight.data.zero_()
    assert not torch.equal(other(feeds)["text_tokens"], expected)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(feeds)["text_tokens"], expected)


def test_intermediate_values_can_be_returned(parse):
    model = parse("g (float[2,3] x) => (float[2,3] z) { y = Exp(x) z = Neg(y) }")
    outputs = TorchComponent(model, extra_outputs=["y"])({"x": torch.zeros(2, 3)})
    assert list(outputs) == ["z", "y"]
    assert torch.all(outputs["y"] == 1)
    with pytest.raises(PassError, match="extra output does not exist"):
        TorchComponent(model, extra_outputs=["w"])


def test_an_unknown_operator_is_refused_with_its_node(parse):
    model = parse("g (float[2,3] x) => (float[2,3] z) { z = NonMaxSuppression(x) }")
    with pytest.raises(PassError) as error:
        TorchComponent(model, "detector")
    assert "operator NonMaxSuppression cannot be trained" in str(error.value)
    assert "component detector, node nonmaxsuppression_0" in str(error.value)
    assert "normalise the component first" in error.value.remedy


def test_an_operator_of_another_domain_is_refused(parse):
    model = parse("g (float[2,3] x) => (float[2,3] z) { z = com.microsoft.Gelu(x) }")
    with pytest.raises(PassError, match=r"com\.microsoft\.Gelu"):
        TorchComponent(model)


def test_a_missing_input_is_named(parse):
    module = TorchComponent(parse("g (float[2] x) => (float[2] z) { z = Neg(x) }"))
    with pytest.raises(PassError, match="the input x is missing"):
        module({"y": torch.ones(2)})


def test_float64_carries_more_digits(parse):
    model = parse("g (float[1] x) => (float[1] z) { z = Identity(x) }")
    assert TorchComponent(model, weights=Weights(torch.float64))({"x": torch.tensor([0.1]).double()})[
        "z"
    ].dtype == (torch.float64)
    assert model.graph.outputs[0].dtype == ir.DataType.FLOAT
