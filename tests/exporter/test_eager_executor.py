"""Torch code as an executor: element types, read-only inputs, views."""

import numpy as np
import pytest
import torch

from exporter.eager_executor import eager_executor


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_computes_in_float32(dtype):
    seen = []

    def run(tensors):
        seen.extend(tensor.dtype for tensor in tensors.values())
        return {"y": tensors["x"] + tensors["i"], "n": tensors["i"]}

    outputs = eager_executor(run)({"x": np.full((1, 2), 0.5, dtype), "i": np.array([[1, 2]])})
    assert seen == [torch.float32, torch.int64]
    assert (outputs["y"].dtype, outputs["n"].dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(outputs["y"], [[1.5, 2.5]])


def test_reads_arrays_it_may_not_write_and_returns_dense_ones():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2]
    array.flags.writeable = False
    (result,) = eager_executor(lambda tensors: {"y": tensors["x"].T})({"x": array}).values()
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, array.T)


def test_keeps_no_gradients():
    weight = torch.ones(2, requires_grad=True)
    (result,) = eager_executor(lambda tensors: {"y": weight * tensors["x"]})({"x": np.ones(2)}).values()
    np.testing.assert_array_equal(result, [1, 1])
