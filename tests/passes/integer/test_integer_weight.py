import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from passes.core.lazy_tensor import transposed
from passes.integer.integer_weight import integer_weight
from program.number_format import IntegerType


@pytest.mark.parametrize(("kind", "top"), [(IntegerType.INT8, 127), (IntegerType.INT4, 7)])
@pytest.mark.parametrize("axis", [0, 1])
def test_codes_and_scales_reproduce_the_weight(kind, top, axis):
    weight = np.random.default_rng(0).normal(size=(24, 10)).astype(np.float32)
    codes, scales, zeros = integer_weight(ir.tensor(weight), kind, axis, "w")
    assert (codes.name, scales.name) == (f"w.{kind}", f"w.{kind}.scale")
    assert not np.any(zeros.numpy().astype(np.int32))
    values = codes.numpy().astype(np.float32) * np.expand_dims(scales.numpy(), 1 - axis)
    assert np.abs(codes.numpy().astype(np.int32)).max() <= top
    limit = np.linalg.norm(weight) * {127: 0.006, 7: 0.13}[top]
    assert np.linalg.norm(values - weight) < limit


def test_clipping_an_outlier_beats_covering_it_in_4_bits():
    weight = np.random.default_rng(1).normal(size=(256, 1)).astype(np.float32)
    weight[0] = 8.0
    codes, scales, _ = integer_weight(ir.tensor(weight), IntegerType.INT4, 1, "w")
    covering = np.rint(weight / (8 / 7)) * 8 / 7
    chosen = codes.numpy().astype(np.float32) * scales.numpy()
    assert np.square(chosen - weight).sum() < np.square(covering - weight).sum()


def test_a_transposed_weight_gives_the_transposed_codes():
    weight = ir.tensor(np.random.default_rng(2).normal(size=(6, 8)).astype(np.float32))
    direct = integer_weight(weight, IntegerType.INT4, 0, "w")
    turned = integer_weight(transposed(weight, "w.transposed"), IntegerType.INT4, 1, "w.transposed")
    np.testing.assert_array_equal(direct[0].numpy().T.astype(np.int8), turned[0].numpy().astype(np.int8))
    np.testing.assert_array_equal(direct[1].numpy(), turned[1].numpy())
    assert turned[0].numpy().dtype == ml_dtypes.int4


def test_a_channel_of_zeros_keeps_a_usable_scale():
    codes, scales, _ = integer_weight(ir.tensor(np.zeros((4, 2), np.float32)), IntegerType.INT8, 1, "w")
    np.testing.assert_array_equal(scales.numpy(), 1.0)
    np.testing.assert_array_equal(codes.numpy(), 0)
