import numpy as np

from tests.exporter.sources.test_sources import make_onnx


def test_other_calibration_inputs_are_another_compile(npuc, tmp_path):
    model, inputs = make_onnx(tmp_path / "m.onnx"), tmp_path / "inputs.npz"
    options = ("--device", "iphone-17-pro", "--calibration", inputs)
    assert npuc("compile", model, *options, "-o", tmp_path / "out").code == 2
    scales = []
    for value in (1, 100):
        np.savez(inputs, x=np.full((1, 4), value, np.float32))
        result = npuc("compile", model, *options, "-o", tmp_path / f"out-{value}")
        assert result.code == 0, result.err
        assert "taken from the cache" not in result.err
        scales.append((tmp_path / f"out-{value}" / "model" / "model.onnx").read_bytes())
    assert scales[0] != scales[1]
    inputs.unlink()
    assert npuc("verify", tmp_path / "out-100", "--against", model).code == 0
