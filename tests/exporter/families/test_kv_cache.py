import numpy as np
import onnx_ir as ir

from exporter.families.kv_cache import MASKED, KvCache
from program.program import TensorSpec

SPECS = [TensorSpec(f"past_{kind}_0", ir.DataType.FLOAT16, (1, 2, 5, 3)) for kind in ("key", "value")]


def rows(count, start):
    array = np.arange(start, start + 2 * count * 3, dtype=np.float32).reshape(1, 2, count, 3)
    return {"new_key_0": array, "new_value_0": -array}


def test_rows_are_appended_and_padding_is_dropped():
    cache = KvCache([*SPECS, TensorSpec("mask", ir.DataType.FLOAT, (1,))])
    cache.append(rows(4, 0), 3)
    cache.append(rows(1, 100), 1)
    assert cache.length == 4
    key = cache.arrays["past_key_0"]
    assert key.dtype == np.float16
    np.testing.assert_array_equal(key[0, 0, :, 0], [0, 3, 6, 100, 0])
    np.testing.assert_array_equal(cache.arrays["past_value_0"], -key)


def test_mask():
    cache = KvCache(SPECS)
    cache.length = 2
    visible = (cache.mask(3, 2)[0, 0] != MASKED).astype(int)
    np.testing.assert_array_equal(
        visible,
        [
            [1, 1, 0, 0, 0, 1, 0, 0],
            [1, 1, 0, 0, 0, 1, 1, 0],
            [1, 1, 0, 0, 0, 1, 1, 1],
        ],
    )
