import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

import npuc
from passes.float.fp8 import round_trip, scales_for
from passes.learning.qat.dynamic_layers import fake_quantize, quantize_dynamic
from passes.learning.training.errors import TrainingError
from program.number_format import Format

FORMATS = {torch.float8_e4m3fn: Format.E4M3, torch.float8_e5m2: Format.E5M2}


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Sequential(nn.Linear(32, 8), nn.LayerNorm(8)))


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_weights_are_those_of_the_codec(dtype):
    layer = quantize_dynamic(nn.Linear(40, 24), dtype=dtype)
    weight = layer.weight.detach().numpy()
    scales = scales_for(np.abs(weight).max(axis=1), FORMATS[dtype], np.float32)
    expected = round_trip(weight, scales[:, None], FORMATS[dtype])
    received = fake_quantize(layer.weight, FORMATS[dtype].onnx, channels=True).detach().numpy()
    assert np.array_equal(received, expected)
    x = np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32)
    scale = scales_for(np.abs(x).max(), FORMATS[dtype], np.float32)
    reference = round_trip(x, scale, FORMATS[dtype]) @ expected.T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), reference, rtol=1e-5, atol=1e-6)


def test_int8_codes_are_whole_and_symmetric():
    x = torch.linspace(-3, 2, 101)
    codes = fake_quantize(x, ir.DataType.INT8) / (3 / 127)
    torch.testing.assert_close(codes, codes.round(), atol=1e-4, rtol=0)
    assert codes.min().round() == -127
    assert torch.equal(fake_quantize(torch.zeros(3), ir.DataType.INT8), torch.zeros(3))


def test_names_state_and_the_original_stay():
    original = model()
    quantized = npuc.quantize_dynamic(original, {nn.Linear}, dtype=torch.float8_e4m3fn)
    assert [name for name, _ in quantized.named_modules()] == [name for name, _ in original.named_modules()]
    assert type(original[0]) is nn.Linear and isinstance(quantized[0], nn.Linear)
    assert "codes=float8e4m3fn" in repr(quantized[0])
    assert quantized.load_state_dict(original.state_dict()) == ([], [])
    x = torch.randn(4, 16)
    assert not torch.equal(quantized(x), original(x))
    torch.testing.assert_close(quantized(x), original(x), atol=0.3, rtol=0)


def test_in_place_and_by_name():
    changed = model()
    assert quantize_dynamic(changed, {"2"}, inplace=True) is changed
    assert type(changed[0]) is nn.Linear and type(changed[2][0]) is not nn.Linear


def test_convolutions():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    quantized = quantize_dynamic(layer, {nn.Conv2d}, torch.float8_e5m2)
    x = torch.randn(2, 3, 6, 6)
    weight = fake_quantize(layer.weight, ir.DataType.FLOAT8E5M2, channels=True)
    expected = nn.functional.conv2d(fake_quantize(x, ir.DataType.FLOAT8E5M2), weight, layer.bias, padding=1)
    torch.testing.assert_close(quantized(x), expected)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.qint8])
def test_a_quantized_model_learns(dtype):
    teacher, student = model(), quantize_dynamic(model(), dtype=dtype)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-2)
    inputs = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    target = teacher(inputs).detach()
    losses = []
    for _ in range(25):
        loss = (student(inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_what_is_not_supported_is_refused():
    with pytest.raises(TrainingError, match="format"):
        quantize_dynamic(model(), dtype=torch.float16)
    with pytest.raises(TrainingError, match="type"):
        quantize_dynamic(model(), {nn.GELU})
    with pytest.raises(TrainingError, match="no such module"):
        quantize_dynamic(model(), {"head"})
