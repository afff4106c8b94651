"""Models that once passed although they were wrong, or did not although they were right."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

FACTORY = """
import torch
from torch import nn

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for _ in range(8):
            layers += [nn.Linear(64, 64), nn.Tanh()]
        self.body = nn.Sequential(*layers, nn.Linear(64, 8))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.45)

    def forward(self, x, allowed):
        return self.body(x).masked_fill(~allowed, -1e9)

class Detector(nn.Module):
    # boxes in pixels, which are easy, and scores of a network that moves far by itself

    def __init__(self, spread, pixels):
        super().__init__()
        layers = []
        for _ in range(6):
            layers += [nn.Linear(64, 64), nn.Tanh()]
        self.pixels, self.body = pixels, nn.Sequential(*layers, nn.Linear(64, 20))
        for parameter in self.body.parameters():
            nn.init.normal_(parameter, std=spread)

    def forward(self, x):
        boxes = x[..., :4].sigmoid() * self.pixels
        return torch.cat([boxes, self.body(x).sigmoid()], -1).transpose(1, 2)

def lost_scores(pixels=640.0):
    torch.manual_seed(0)
    return Detector(0.45, pixels).eval(), (torch.randn(1, 48, 64),)

def lost_scores_beside_small_boxes():
    return lost_scores(16.0)

def detector():
    torch.manual_seed(0)
    return Detector(0.1, 640.0).eval(), (torch.randn(1, 48, 64),)

def masked():
    torch.manual_seed(0)
    return Masked(), (torch.randn(8, 64), torch.arange(64).reshape(8, 8) % 3 > 0)

def attention():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

        def forward(self, x, padding_mask):
            return self.encoder(x, src_key_padding_mask=padding_mask)

    return Encoder().eval(), (torch.randn(1, 6, 16), torch.tensor([[False] * 4 + [True] * 2]))

def stateful():
    module = nn.Identity()
    module.calls = 0

    def forward(x):
        module.calls += 1
        return x * (module.calls if not torch.compiler.is_exporting() else 1)

    module.forward = forward
    return module, (torch.ones(2, 3),)

class Returned(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x):
        return x, self.linear(x)

def returned():
    torch.manual_seed(0)
    return Returned(), (torch.randn(2, 16),)

class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return (self.linear(x) + 1e7) - 1e7

def double():
    torch.manual_seed(0)
    return Double().double(), (torch.randn(2, 4, dtype=torch.float64),)
"""


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(FACTORY)
    return path


@pytest.fixture
def compiled(npuc, factory, tmp_path):
    def run(function, *options):
        device = ("--device", "vivo-x200", "--tier", "high", "-o", tmp_path / "out")
        return npuc("compile", f"{factory}:{function}", *device, *options)

    return run


def test_the_constant_of_a_mask_hides_no_loss(compiled):
    result = compiled("masked")
    assert result.code == 1
    assert "lose what the model computes" in result.err


@pytest.mark.parametrize("function", ["lost_scores", "lost_scores_beside_small_boxes"])
def test_boxes_hide_no_loss_of_the_scores_beside_them(compiled, function):
    result = compiled(function)
    assert result.code == 1
    assert "lose what the model computes" in result.err


def test_a_detector_passes(compiled):
    result = compiled("detector")
    assert result.code == 0, result.err


def test_attention_with_a_padding_mask_passes(compiled):
    result = compiled("attention")
    assert result.code == 0, result.err


def test_a_model_that_counts_its_calls_is_told_so(compiled):
    result = compiled("stateful")
    assert result.code == 3
    assert "does not answer the same twice" in result.err


def test_an_input_may_be_returned(compiled):
    result = compiled("returned")
    assert result.code == 0, result.err


def test_a_module_in_double_precision_answers_in_it(compiled):
    result = compiled("double")
    assert result.code == 1
    assert "fault of npuc" in result.err or "moves further by itself" in result.err


@pytest.fixture
def external(tmp_path):
    """A model with its weights in a file of their own."""
    weight = numpy_helper.from_array(
        np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32), "w"
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 32]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.bin", size_threshold=0)
    return path


def test_weights_in_a_file_of_their_own_are_part_of_the_model(npuc, external, tmp_path):
    out = tmp_path / "out"
    assert npuc("compile", external, "--device", "vivo-x200", "--tier", "high", "-o", out).code == 0
    assert npuc("verify", out, "--against", external).code == 0
    data = np.fromfile(external.with_name("model.bin"), np.float32)
    (data * np.float32(1.05)).tofile(external.with_name("model.bin"))
    result = npuc("verify", out, "--against", external)
    assert result.code == 1
    assert "not those the artifact was made from" in result.out


def test_another_model_is_named_before_anything_is_compared(npuc, external, factory, tmp_path):
    out = tmp_path / "out"
    assert npuc("compile", external, "--device", "vivo-x200", "--tier", "high", "-o", out).code == 0
    result = npuc("verify", out, "--against", f"{factory}:masked")
    assert result.code == 1
    assert "made from another model" in result.err


def test_an_artifact_without_samples_does_not_verify(npuc, external, tmp_path):

    out = tmp_path / "out"
    assert npuc("compile", external, "--device", "vivo-x200", "--tier", "high", "-o", out).code == 0
    path, manifest = out / "model/samples.json", json.loads((out / "manifest.json").read_text())
    path.write_text("{}")
    manifest["files"]["model/samples.json"] = {
        "bytes": 2,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    result = npuc("verify", out)
    assert result.code == 1
    assert "samples of a component are missing" in result.err


def test_a_recorded_index_beyond_its_table_is_the_users(npuc, tmp_path):
    table = numpy_helper.from_array(np.ones((5, 4), np.float32), "t")
    ends = [
        helper.make_tensor_value_info("i", TensorProto.INT64, [3]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 4]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["t", "i"], ["y"])], "g", ends[:1], ends[1:], [table]
    )
    path = tmp_path / "table.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    np.savez(tmp_path / "bad.npz", i=np.array([1, 2, 7]))
    options = ("--device", "vivo-x200", "--tier", "high", "-o", tmp_path / "out", "--calibration")
    result = npuc("compile", path, *options, tmp_path / "bad.npz")
    assert result.code == 3
    assert "--calibration" in result.err
