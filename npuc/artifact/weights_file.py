"""Writes every large initializer of a program once, into one file, and rebinds the graphs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import onnx_ir as ir

from npuc.errors import ResourceError
from program.program import Component

ALIGNMENT = 128
"""Byte alignment of every tensor: one vector register of the widest DSP we emit for, two cache lines on Arm."""

SIZE_THRESHOLD = 1024
"""Smaller initializers stay inside the graph, where constant folding can see them."""

WEIGHTS_NAME = "weights.bin"

Advance = Callable[[int], None]


def large_initializers(components: Mapping[str, Component]) -> dict[str, ir.TensorProtocol]:
    """Returns the initializers that go into the weights file, once by name, sorted by name."""
    found: dict[str, ir.TensorProtocol] = {}
    for component in components.values():
        for name, value in component.model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes >= SIZE_THRESHOLD:
                found.setdefault(name, tensor)
    return dict(sorted(found.items()))


def write_weights(components: Mapping[str, Component], folder: Path, advance: Advance | None = None) -> int:
    """Writes `weights.bin` tensor by tensor and rebinds the initializers of all components to it.

    Args:
        components: Their graphs are changed in place: large initializers become `ir.ExternalTensor`.
        folder: Existing folder to write into.
        advance: Called with the number of bytes after each tensor.

    Returns:
        Bytes of the file.

    Raises:
        ResourceError: The disk is full.
    """
    _inline_small(components)
    return _write(components, large_initializers(components), folder, "wb", advance)


def append_weights(components: Mapping[str, Component], folder: Path) -> int:
    """Adds what lies in no file yet to `weights.bin` and rebinds it, as `write_weights` does.

    Args:
        components: Graphs derived from those that were written.
        folder: Of the weights file.

    Returns:
        Bytes of the file.

    Raises:
        ResourceError: The disk is full.
    """
    unwritten = {
        name: tensor
        for name, tensor in large_initializers(components).items()
        if not isinstance(tensor, ir.ExternalTensor)
    }
    return _write(components, unwritten, folder, "ab")


def _write(
    components: Mapping[str, Component],
    tensors: Mapping[str, ir.TensorProtocol],
    folder: Path,
    mode: Literal["wb", "ab"],
    advance: Advance | None = None,
) -> int:
    path = folder / WEIGHTS_NAME
    rebound: dict[str, ir.ExternalTensor] = {}
    try:
        with path.open(mode) as file:
            for name, tensor in tensors.items():
                rebound[name] = _write_tensor(file, name, tensor, folder)
                if advance is not None:
                    advance(tensor.nbytes)
            size = file.tell()
    except OSError as error:
        raise ResourceError(
            f"cannot write the weights: {error.strerror}",
            where=str(path),
            remedy="free disk space, or name folders on another disk with -o and in NPUC_CACHE",
        ) from error
    for component in components.values():
        initializers = component.model.graph.initializers
        for name in rebound.keys() & initializers.keys():
            initializers[name].const_value = rebound[name]
    return size


def _inline_small(components: Mapping[str, Component]) -> None:
    """Copies small tensors that lie in the user's files, or are computed lazily, into the graphs."""
    for component in components.values():
        for name, value in component.model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes < SIZE_THRESHOLD:
                value.const_value = ir.Tensor(np.array(tensor.numpy()), dtype=tensor.dtype, name=name)


def _write_tensor(file: BinaryIO, name: str, tensor: ir.TensorProtocol, folder: Path) -> ir.ExternalTensor:
    file.write(b"\0" * (-file.tell() % ALIGNMENT))
    offset = file.tell()
    if hasattr(tensor, "tofile"):
        tensor.tofile(file)
    else:
        file.write(tensor.tobytes())
    return ir.ExternalTensor(
        WEIGHTS_NAME,
        offset,
        file.tell() - offset,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=name,
        base_dir=folder,
    )
