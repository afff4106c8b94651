"""Meta capture on small modules."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from exporter.capture import Capture, build_on_meta, capture_module
from exporter.errors import ExportError
from exporter.modality import SCOPE_KEY, ModalityRule
from program.onnx_executor import OnnxExecutor
from program.program import MODALITY_KEY, Modality, Role, TensorSpec

F32 = ir.DataType.FLOAT


class Branches(nn.Module):
    """Two linear layers (perhaps of one weight), a table, a scale."""

    def __init__(self):
        super().__init__()
        self.eye = nn.Linear(8, 8, bias=False)
        self.mouth = nn.Linear(8, 8, bias=False)
        self.register_buffer("table", torch.arange(8.0, device="cpu"), persistent=False)

    def forward(self, x):
        return self.mouth(torch.relu(self.eye(x)) + self.table) * 2.5


WEIGHTS = {
    name: np.random.default_rng(i).standard_normal((8, 8), np.float32)
    for i, name in enumerate(("eye", "mouth"))
}


def what(**changes):
    values = {
        "name": "face",
        "role": Role.MODEL,
        "modality": Modality.TEXT,
        "inputs": (TensorSpec("x", F32, (1, 3, 8)),),
        "outputs": ("y",),
        "rules": (ModalityRule(r"^eye", Modality.VISION),),
    }
    return Capture(**{**values, **changes})


def capture(bind=None, **changes):
    with build_on_meta(F32):
        module = Branches()
    bind = bind or (lambda name, dtype, shape: ir.tensor(WEIGHTS[name.split(".")[0]], name=f"model.{name}"))
    return capture_module(module, what(**changes), bind)


def test_the_graph_computes_what_the_module_does():
    component = capture()
    x = np.random.default_rng(5).standard_normal((1, 3, 8), np.float32)
    expected = (np.maximum(x @ WEIGHTS["eye"].T, 0) + np.arange(8)) @ WEIGHTS["mouth"].T * 2.5
    np.testing.assert_allclose(OnnxExecutor(component.model)({"x": x})["y"], expected, rtol=1e-5, atol=1e-5)
    assert component.model.opset_imports[""] == 23
    assert [spec.name for spec in component.inputs] == ["x"]


def test_weights_keep_their_names_and_constants_get_the_components():
    names = set(capture().model.graph.initializers)
    assert {"model.eye.weight", "model.mouth.weight", "face/table"} <= names
    assert all(name.startswith(("model.", "face/")) for name in names)


def test_tied_weights_become_one_initializer():
    component = capture(bind=lambda name, dtype, shape: ir.tensor(WEIGHTS["eye"], name="shared"))
    assert [name for name in component.model.graph.initializers if name == "shared"] == ["shared"]
    assert len(list(component.model.graph.initializers["shared"].uses())) == 2


def test_nodes_carry_modality_and_scope():
    by_scope = {}
    for node in capture().model.graph:
        by_scope.setdefault(node.metadata_props[SCOPE_KEY], set()).add(node.metadata_props[MODALITY_KEY])
    assert by_scope["eye"] == {"vision"}
    assert by_scope["mouth"] == {"text"}
    assert by_scope[""] == {"text"}


def test_no_path_of_this_machine_is_left_in_the_graph():
    assert __file__.encode() not in ir.to_proto(capture().model).SerializeToString()


def test_same_module_same_bytes():
    first, second = (ir.to_proto(capture().model).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_no_weight_is_read():
    def bind(name, dtype, shape):
        def fail():
            raise AssertionError("a weight was read while capturing")

        return ir.LazyTensor(fail, dtype, ir.Shape(shape), name=name)

    assert "eye.weight" in capture(bind=bind).model.graph.initializers


def test_data_dependent_control_flow_is_refused():
    class Guarded(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match=r"(?s)component face: .*Guarded") as caught:
        capture_module(Guarded(), what(), lambda *_: None)
    assert len(caught.value.received) <= 300
    assert caught.value.exit_code == 3


def test_bfloat16_is_refused_by_name():
    with pytest.raises(ExportError, match=r"(?s)face: weight.*bfloat16"):
        capture_module(nn.Linear(8, 8).bfloat16(), what(), lambda *_: None)


def test_float16_capture():
    with build_on_meta(ir.DataType.FLOAT16):
        module = nn.Linear(8, 8)
    spec = TensorSpec("x", ir.DataType.FLOAT16, (1, 3, 8))
    component = capture_module(
        module,
        what(inputs=(spec,)),
        lambda name, dtype, shape: ir.tensor(np.ones(shape, dtype.numpy()), name=name),
    )
    assert component.outputs[0].dtype == ir.DataType.FLOAT16
    assert torch.get_default_dtype() == torch.float32
