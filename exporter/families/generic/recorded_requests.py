"""Calibration requests of a model without preprocessing: arrays that the user recorded, in .npz files."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporter.errors import SourceError
from exporter.options import MAX_REQUESTS
from program.program import Array, Request, TensorSpec

CONSTANT = "recorded inputs that hold one number each"
"""What requests are of which `hold_one_number` is true, in words."""

_HEADER_BYTES = 1 << 16
_FORM = (
    "hold one array for each input, of the input's shape or with one more axis in front for several requests"
)


def recorded_files(path: Path) -> list[Path]:
    """Returns the file, or the .npz files of the folder by name.

    Raises:
        SourceError: There is none, or more than `MAX_REQUESTS`.
    """
    is_folder = os.path.isdir(path)  # noqa: PTH112 - Path raises where a name is too long
    files = sorted(path.glob("*.npz")) if is_folder else [path]
    if not 0 < len(files) <= MAX_REQUESTS or not all(os.path.isfile(file) for file in files):  # noqa: PTH113
        raise SourceError(
            "there are no calibration inputs",
            where=str(path),
            received=f"{len(files)} files" if is_folder else "no such file",
            remedy=f"name an .npz file, or a folder of at most {MAX_REQUESTS}",
        )
    return files


def recorded_requests(path: Path, inputs: Sequence[TensorSpec]) -> tuple[Request, ...]:
    """Reads the requests.

    Args:
        path: An .npz file or a folder of them. Each holds one array for each input: [*shape] for one request, or
            [N, *shape] for N.
        inputs: Of the model.

    Raises:
        SourceError: A file is damaged, too large, lacks an input, or has one of another shape or kind.
    """
    requests: list[Request] = []
    for file in recorded_files(path):
        requests += _requests(file, inputs)
        if len(requests) > MAX_REQUESTS:
            raise SourceError(f"there are more than {MAX_REQUESTS} calibration inputs", where=str(path))
    return tuple(requests)


def hold_one_number(requests: Sequence[Request]) -> bool:
    """Tells whether every float input of all requests holds one and the same number, as zeros that stand for data."""
    floats = (
        [name for name, array in requests[0].tensors.items() if array.dtype.kind == "f"] if requests else []
    )
    values = [np.concatenate([request.tensors[name].reshape(-1) for request in requests]) for name in floats]
    return any(array.size > 1 for array in values) and all(
        bool((array == array[0]).all()) for array in values
    )


def _requests(file: Path, inputs: Sequence[TensorSpec]) -> list[Request]:
    stacked = {spec.name: _stacked(array, spec, file) for spec, array in _arrays(file, inputs)}
    counts = {name: len(array) for name, array in stacked.items()}
    if len(set(counts.values())) != 1:
        raise SourceError(
            "calibration inputs are of different number",
            where=str(file),
            received=", ".join(f"{name}: {count}" for name, count in counts.items()),
            remedy=_FORM,
        )
    count = next(iter(counts.values()))
    return [
        Request(tensors={name: array[index] for name, array in stacked.items()}) for index in range(count)
    ]


def _arrays(file: Path, inputs: Sequence[TensorSpec]) -> list[tuple[TensorSpec, Array]]:
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
        missing = [spec.name for spec in inputs if spec.name not in sizes]
        if missing:
            raise SourceError(
                f"calibration inputs are missing: {', '.join(missing)}",
                where=str(file),
                received=", ".join(sorted(sizes)) or "no arrays",
                remedy=_FORM,
            )
        for spec in inputs:
            # as float64 or int64 at most; checked before anything is allocated
            limit = MAX_REQUESTS * math.prod(spec.shape) * 8 + _HEADER_BYTES
            if sizes[spec.name] > limit:
                raise SourceError(
                    f"an array is larger than {MAX_REQUESTS} inputs of the model",
                    where=f"{file}: {spec.name}",
                    received=f"{sizes[spec.name]} bytes",
                    remedy=_FORM,
                )
        with np.load(file, allow_pickle=False) as values:
            return [(spec, values[spec.name]) for spec in inputs]
    except SourceError:
        raise
    except Exception as error:  # the headers are Python: numpy raises what a tokenizer and an evaluator may
        raise SourceError(
            "calibration inputs cannot be read", where=str(file), received=str(error)[:200], remedy=_FORM
        ) from error


def _stacked(array: Array, spec: TensorSpec, file: Path) -> Array:
    """[N, *shape] in the input's type."""
    kind = np.can_cast(array.dtype, spec.numpy_dtype, "same_kind")
    one = array.shape == tuple(spec.shape)
    if not kind or not (one or array.shape[1:] == tuple(spec.shape)) or not array.size:
        raise SourceError(
            "a calibration input does not fit the model",
            where=f"{file}: {spec.name}",
            received=f"{array.dtype} {list(array.shape)} for {spec.numpy_dtype} {list(spec.shape)}",
            remedy=_FORM,
        )
    typed: Array = array.astype(spec.numpy_dtype)
    return typed[np.newaxis] if one else typed
