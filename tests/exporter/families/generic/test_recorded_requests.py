"""Calibration inputs that a user recorded."""

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import SourceError
from exporter.families.generic.recorded_requests import recorded_requests
from exporter.options import CaptureOptions
from exporter.sources import open_source
from program.program import TensorSpec
from tests.exporter.sources.test_sources import make_onnx

INPUTS = (TensorSpec("x", ir.DataType.FLOAT, (1, 4)), TensorSpec("ids", ir.DataType.INT64, (2,)))


def _save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_one_request_a_file_in_the_order_of_names(tmp_path):
    for name, value in (("b", 2), ("a", 1)):
        _save(
            tmp_path / f"{name}.npz", x=np.full((1, 4), value, np.float64), ids=np.array([value, 0], np.int32)
        )
    first, second = recorded_requests(tmp_path, INPUTS)
    assert first.tensors["x"].dtype == np.float32 and first.tensors["ids"].dtype == np.int64
    assert (first.tensors["x"][0, 0], second.tensors["ids"][0]) == (1, 2)


def test_several_requests_in_one_file(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(3, 1, 4)
    requests = recorded_requests(_save(tmp_path / "all.npz", x=x, ids=np.zeros((3, 2), np.int64)), INPUTS)
    np.testing.assert_array_equal([request.tensors["x"] for request in requests], x)


def test_a_model_is_calibrated_with_them(tmp_path):
    inputs = _save(tmp_path / "x.npz", x=np.full((2, 1, 4), 7, np.float32))
    program = open_source(make_onnx(tmp_path / "m.onnx"), CaptureOptions(calibration=inputs))
    assert [float(request.tensors["x"].max()) for request in program.requests] == [7, 7]


@pytest.mark.parametrize(
    ("x", "drawn"),
    [
        (np.zeros((2, 1, 4), np.float32), "recorded inputs that hold one number each"),
        (np.arange(8, dtype=np.float32).reshape(2, 1, 4), ""),
    ],
)
def test_inputs_that_hold_one_number_are_no_real_inputs(tmp_path, x, drawn):
    options = CaptureOptions(calibration=_save(tmp_path / "x.npz", x=x))
    assert open_source(make_onnx(tmp_path / "m.onnx"), options).drawn == drawn


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((1, 4), np.float32)}, r"(?s)inputs are missing.*ids"),
        ({"x": np.zeros((1, 5), np.float32), "ids": np.zeros(2, int)}, r"(?s)does not fit.*x.*\[1, 5\]"),
        ({"x": np.zeros((1, 4), np.float32), "ids": np.zeros(2)}, r"(?s)does not fit.*ids.*float64"),
        ({"x": np.zeros((0, 1, 4), np.float32), "ids": np.zeros((0, 2), int)}, r"(?s)does not fit"),
        (
            {"x": np.zeros((2, 1, 4), np.float32), "ids": np.zeros(2, int)},
            r"(?s)different number.*x: 2, ids: 1",
        ),
        ({"x": np.zeros(1 << 18), "ids": np.zeros(2, int)}, r"(?s)larger than 4096 inputs"),
        ({"x": np.array([None] * 4).reshape(1, 4), "ids": np.zeros(2, int)}, r"(?s)cannot be read"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(SourceError, match=message) as caught:
        recorded_requests(_save(tmp_path / "wrong.npz", **arrays), INPUTS)
    assert caught.value.exit_code == 2


def test_absent_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(SourceError, match=r"(?s)no calibration inputs.*0 files"):
        recorded_requests(tmp_path, INPUTS)
    with pytest.raises(SourceError, match="no such file"):
        recorded_requests(tmp_path / "absent.npz", INPUTS)
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(SourceError, match="cannot be read"):
        recorded_requests(tmp_path / "damaged.npz", INPUTS)


def test_a_folder_takes_requests_instead(tmp_path):
    with pytest.raises(SourceError, match=r"(?s)not with arrays.*calibration\.json"):
        open_source(tmp_path, CaptureOptions(calibration=tmp_path))
