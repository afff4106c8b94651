import weakref

import numpy as np
import pytest

from passes.core.errors import PassError
from passes.learning.training import layerwise
from passes.learning.training.layerwise import LayerwiseExecutor
from passes.learning.training.torch_graph.block import Block
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import executor
from program.onnx_executor import OnnxExecutor


@pytest.mark.parametrize(
    ("model", "name"), [("demo", "vision_encoder"), ("demo", "decode"), ("qwen", "prefill")]
)
def test_equals_onnx_runtime(programs, feeds_of, model, name):
    component = programs[model, "normalised"].components[name]
    samples = [feeds_of(component, seed) for seed in (0, 1)]
    reference = OnnxExecutor(component.model)
    for outputs, feeds in zip(LayerwiseExecutor(component.model, name).run(samples), samples, strict=True):
        for key, expected in reference(feeds).items():
            np.testing.assert_allclose(outputs[key], expected, rtol=1e-4, atol=1e-4)


def test_fp8_equals_the_whole_component_bit_for_bit(programs, feeds_of):
    component = programs["qwen", "fp8"].components["decode"]
    feeds = feeds_of(component)
    whole = executor(TorchComponent(component.model, "decode"))(feeds)
    parts = LayerwiseExecutor(component.model, "decode")(feeds)
    assert whole.keys() == parts.keys()
    assert all(
        np.array_equal(whole[key], parts[key]) and whole[key].dtype == parts[key].dtype for key in whole
    )


def test_one_layers_weights_are_alive_at_a_time(programs, feeds_of, monkeypatch):
    component = programs["qwen", "normalised"].components["decode"]
    alive, most = weakref.WeakSet(), []

    class Counted(Block):
        def __init__(self, *arguments):
            alive.add(self)
            most.append(len(alive))
            super().__init__(*arguments)

    monkeypatch.setattr(layerwise, "Block", Counted)
    LayerwiseExecutor(component.model)(feeds_of(component))
    assert len(most) >= 3 and max(most) == 1


def test_intermediate_values_come_out(programs, feeds_of):
    component = programs["demo", "normalised"].components["text_encoder"]
    name = next(node.outputs[0].name for node in component.model.graph if node.op_type == "Softmax")
    feeds = feeds_of(component)
    expected = OnnxExecutor(component.model, [name])(feeds)[name]
    np.testing.assert_allclose(
        LayerwiseExecutor(component.model, extra_outputs=[name])(feeds)[name], expected, atol=1e-5
    )
    with pytest.raises(PassError, match="does not exist"):
        LayerwiseExecutor(component.model, extra_outputs=["none"])
