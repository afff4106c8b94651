import io

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from program.lazy_tensor import BlockwiseTensor, map_rows, read_rows, row_blocks


def external(path, array):
    path.write_bytes(b"\x00" * 16 + array.tobytes())
    return ir.ExternalTensor(
        path.name,
        16,
        array.nbytes,
        ir.DataType.from_numpy(array.dtype),
        shape=ir.Shape(array.shape),
        name="w",
        base_dir=str(path.parent),
    )


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 9), block=st.integers(1, 400))
def test_blocks_add_up_to_the_whole(rows, columns, block):
    array = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    tensor = BlockwiseTensor(
        lambda a, b: array[a:b], ir.DataType.FLOAT, array.shape, name="w", block_bytes=block
    )
    assert tensor.tobytes() == array.tobytes()
    assert all(part.nbytes <= max(block, columns * 4) for part in tensor.blocks())
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_only_one_block_is_held():
    sizes = []
    tensor = BlockwiseTensor(
        lambda a, b: sizes.append(b - a) or np.zeros((b - a, 4), np.float32),
        ir.DataType.FLOAT,
        (100, 4),
        name="w",
        block_bytes=160,
    )
    tensor.tofile(io.BytesIO())
    assert sizes == [10] * 10


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_rows_of_an_external_tensor(tmp_path, dtype):
    array = np.arange(24).reshape(6, 4).astype(dtype)
    tensor = external(tmp_path / "w.bin", array)
    np.testing.assert_array_equal(read_rows(tensor, 2, 5), array[2:5])
    np.testing.assert_array_equal(np.concatenate(list(row_blocks(tensor, 20))), array)


def test_a_shortened_external_file_is_noticed(tmp_path):
    tensor = external(tmp_path / "w.bin", np.ones((4, 4), np.float32))
    (tmp_path / "w.bin").write_bytes(b"\x00" * 40)
    with pytest.raises(ValueError, match="ends after"):
        read_rows(tensor, 0, 4)


def test_map_rows_composes(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    doubled = map_rows(
        external(tmp_path / "w.bin", array), lambda block: block * 2, ir.DataType.FLOAT, name="d"
    )
    summed = map_rows(doubled, lambda block: block.sum(1), ir.DataType.FLOAT, name="s", shape=(4,))
    np.testing.assert_array_equal(summed.numpy(), array.sum(1) * 2)


def test_a_wrong_block_is_refused():
    tensor = BlockwiseTensor(
        lambda a, b: np.zeros((b - a, 3), np.float64), ir.DataType.FLOAT, (2, 3), name="w"
    )
    with pytest.raises(ValueError, match="float64"):
        tensor.numpy()


def test_a_model_with_a_blockwise_weight_is_saved_and_read_back(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    value = ir.Value(
        name="w",
        shape=ir.Shape((3, 4)),
        type=ir.TensorType(ir.DataType.FLOAT),
        const_value=BlockwiseTensor(lambda a, b: array[a:b], ir.DataType.FLOAT, (3, 4), name="w"),
    )
    graph = ir.Graph([], [value], nodes=[], initializers=[value], opset_imports={"": 23}, name="g")
    ir.save(
        ir.Model(graph, ir_version=10), tmp_path / "m.onnx", external_data="m.data", size_threshold_bytes=0
    )
    loaded = ir.load(tmp_path / "m.onnx").graph.initializers["w"].const_value
    np.testing.assert_array_equal(loaded.numpy(), array)
