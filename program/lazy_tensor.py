"""Tensors computed block by block when they are written, and block-wise reading of any tensor.

`onnx_ir.LazyTensor` holds a whole tensor while it is written; the LM head of a 4B model is 1.5 GB in float32. A
`BlockwiseTensor` never holds more than one block of rows, so that memory follows the block, not the model.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir._core import TensorBase  # onnx_ir 1.1 does not re-export it

from program.program import Array

BLOCK_BYTES = 8 << 20
"""Bytes of one block of rows; larger blocks were measured to be no faster."""

ReadRows = Callable[[int, int], Array]
"""(first row, row after the last) → array of those rows."""


class BlockwiseTensor(TensorBase):
    """A tensor whose rows (slices of the first axis) are computed on demand.

    Args:
        read: Returns rows `[start, stop)` as an array of `dtype` and shape `(stop - start, *shape[1:])`.
        dtype: Element type.
        shape: Static shape; a scalar (rank 0) counts as one row.
        name: Name of the tensor.
        block_bytes: Upper limit of one block's size; a block has one row at least.
    """

    __slots__ = ("_block_rows", "_read", "dtype", "shape")

    def __init__(
        self,
        read: ReadRows,
        dtype: ir.DataType,
        shape: tuple[int, ...],
        *,
        name: str,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        super().__init__(name=name)
        self._read = read
        self.dtype: ir.DataType = dtype
        self.shape: ir.Shape = ir.Shape(shape)
        self.shape.freeze()
        self._block_rows = rows_per_block(shape, dtype.itemsize, block_bytes)

    @property
    def raw(self) -> ReadRows:
        """The function that computes the rows."""
        return self._read

    def blocks(self) -> Iterator[Array]:
        """Yields the rows in order, block by block.

        Raises:
            ValueError: The function returned an array of another shape or dtype than promised.
        """
        shape = static_shape(self)
        rows = shape[0] if shape else 1
        for start in range(0, rows, self._block_rows):
            stop = min(start + self._block_rows, rows)
            yield self.rows(start, stop)

    def rows(self, start: int, stop: int) -> Array:
        """Computes rows `[start, stop)`.

        Raises:
            ValueError: The function returned an array of another shape or dtype than promised.
        """
        block = np.asarray(self._read(start, stop))
        shape = static_shape(self)
        expected = (stop - start, *shape[1:]) if shape else ()
        if block.shape != expected or block.dtype != self.dtype.numpy():
            raise ValueError(
                f"{self.name}: rows {start}:{stop} are {block.dtype}{list(block.shape)}, "
                f"expected {self.dtype.numpy()}{list(expected)}"
            )
        return block

    def numpy(self) -> Array:
        """Computes the whole tensor (use it for small ones)."""
        shape = static_shape(self)
        return self.rows(0, shape[0] if shape else 1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.numpy(), dtype=dtype)

    def __dlpack__(self, *, stream: Any = None) -> Any:
        return self.numpy().__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU of the DLPack specification

    def tobytes(self) -> bytes:
        """Returns the little-endian bytes of the whole tensor (use it for small ones)."""
        buffer = io.BytesIO()
        self.tofile(buffer)
        return buffer.getvalue()

    def tofile(self, file: BinaryIO) -> None:
        """Writes the little-endian bytes, holding one block at a time."""
        for block in self.blocks():
            file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self.dtype},{self.shape}>(name={self.name!r})"


def map_rows(
    source: ir.TensorProtocol,
    function: Callable[[Array], Array],
    dtype: ir.DataType,
    *,
    name: str,
    shape: tuple[int, ...] | None = None,
) -> BlockwiseTensor:
    """A lazy tensor made from another one by a function that works on each block of rows alone.

    Args:
        source: The tensor to read.
        function: Maps rows of `source` to the same number of rows of the result.
        dtype: Element type of the result.
        name: Name of the result.
        shape: Shape of the result where the function changes axes after the first; default that of `source`.
    """
    result_shape = shape if shape is not None else static_shape(source)
    return BlockwiseTensor(
        lambda start, stop: function(read_rows(source, start, stop)), dtype, result_shape, name=name
    )


def read_rows(tensor: ir.TensorProtocol, start: int, stop: int) -> Array:
    """Reads rows `[start, stop)` of any tensor, without holding the rest where the tensor allows it.

    An external tensor is read with file reads rather than through its memory map: mapped pages stay in the
    process' resident set, read blocks do not.

    Raises:
        ValueError: An external file is shorter than its tensor says.
    """
    if isinstance(tensor, BlockwiseTensor):
        return tensor.rows(start, stop)
    if isinstance(tensor, ir.ExternalTensor) and tensor.dtype.bitwidth % 8 == 0:
        return _read_external_rows(tensor, start, stop)
    array: Array = tensor.numpy()
    return array[start:stop] if array.ndim else array


def row_blocks(tensor: ir.TensorProtocol, block_bytes: int = BLOCK_BYTES) -> Iterator[Array]:
    """Yields all rows of any tensor in order, in blocks of at most `block_bytes` (one row at least)."""
    shape = static_shape(tensor)
    rows = shape[0] if shape else 1
    step = rows_per_block(shape, tensor.dtype.itemsize, block_bytes)
    for start in range(0, rows, step):
        yield read_rows(tensor, start, min(start + step, rows))


def static_shape(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """The shape as plain integers."""
    return tuple(int(dimension) for dimension in tensor.shape.numpy())


def rows_per_block(shape: tuple[int, ...], itemsize: float, block_bytes: int = BLOCK_BYTES) -> int:
    """Rows of `shape` that fit into `block_bytes`; one at least."""
    row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * itemsize
    return max(1, int(block_bytes // max(row_bytes, 1)))


def _read_external_rows(tensor: ir.ExternalTensor, start: int, stop: int) -> Array:
    shape = static_shape(tensor)
    row_items = int(np.prod(shape[1:], dtype=np.int64))
    dtype: np.dtype[Any] = np.dtype(tensor.dtype.numpy())
    count = (stop - start) * row_items
    offset = (tensor.offset or 0) + start * row_items * dtype.itemsize
    # ml_dtypes types cannot be given to fromfile: read bytes, then view them
    data: npt.NDArray[np.uint8] = np.fromfile(
        tensor.path, dtype=np.uint8, count=count * dtype.itemsize, offset=offset
    )
    if data.nbytes != count * dtype.itemsize:
        raise ValueError(
            f"{tensor.path}: {tensor.name} ends after {data.nbytes} of {count * dtype.itemsize} bytes"
        )
    return data.view(dtype).reshape((stop - start, *shape[1:]) if shape else ())
