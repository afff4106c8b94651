import io

import ml_dtypes
import numpy as np
import onnx_ir as ir
from hypothesis import given
from hypothesis import strategies as st

from passes.integer.int4_tensor import Int4Tensor


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 30), st.integers(0, 2**31))
def test_packs_as_onnx_does_whatever_the_blocks(rows, columns, block_bytes, seed):
    codes = np.random.default_rng(seed).integers(-8, 8, (rows, columns)).astype(ml_dtypes.int4)
    lazy = Int4Tensor(
        lambda start, stop: codes[start:stop],
        ir.DataType.INT4,
        codes.shape,
        name="w",
        block_bytes=block_bytes,
    )
    buffer = io.BytesIO()
    lazy.tofile(buffer)
    assert buffer.getvalue() == ir.tensor(codes, dtype=ir.DataType.INT4).tobytes()
    assert lazy.nbytes == len(buffer.getvalue())
