import numpy as np
import onnx_ir as ir
import pytest

from passes.core.lazy_tensor import cast, cast_array, transpose_source, transposed
from program.lazy_tensor import BLOCK_BYTES, BlockwiseTensor

WEIGHT = np.random.default_rng(0).standard_normal((40, 3, 8)).astype(np.float32)


def test_transposed_flattens_the_input_axes():
    result = transposed(ir.tensor(WEIGHT), "w")
    np.testing.assert_array_equal(result.numpy(), WEIGHT.reshape(40, 24).T)
    assert result.shape == (24, 40)


def test_transposed_rows_can_be_read_alone():
    result = transposed(ir.tensor(WEIGHT), "w")
    np.testing.assert_array_equal(result.rows(5, 9), WEIGHT.reshape(40, 24).T[5:9])


def test_transposed_knows_its_source():
    source = ir.tensor(WEIGHT)
    assert transpose_source(transposed(source, "w")) is source
    assert transpose_source(source) is None


def test_large_tensors_are_converted_when_written():
    result = cast(ir.tensor(WEIGHT), ir.DataType.FLOAT16, "w")
    assert isinstance(result, BlockwiseTensor)
    assert result.tobytes() == WEIGHT.astype(np.float16).tobytes()


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT16, ir.DataType.FLOAT])
def test_bfloat16_is_converted(dtype):
    values = np.array([1.5, -3e38, 0.1], np.float32).astype(ir.DataType.BFLOAT16.numpy())
    result = cast(ir.tensor(values), dtype, "w").numpy()
    expected = np.clip(values.astype(np.float32), -65504, 65504) if dtype == ir.DataType.FLOAT16 else values
    np.testing.assert_array_equal(result, expected.astype(dtype.numpy()))


def test_finite_values_saturate_and_infinities_stay():
    result = cast_array(np.array([1e30, -1e30, np.inf, -np.inf, 65519.0]), np.float16)
    np.testing.assert_array_equal(result, np.array([65504, -65504, np.inf, -np.inf, 65504], np.float16))


def test_a_source_of_several_blocks_is_transposed_whole():
    weight = np.arange(4096 * 768, dtype=np.float32).reshape(4096, 768)
    assert weight.nbytes > BLOCK_BYTES
    np.testing.assert_array_equal(transposed(ir.tensor(weight), "w").rows(700, 768), weight.T[700:768])
