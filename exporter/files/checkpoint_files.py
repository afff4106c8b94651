"""Where the tensors of a checkpoint folder lie: headers and index, checked against each other; no weight is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.files.safetensors_header import StoredTensor, read_header

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_SHARDS = 4096
_PICKLE_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclasses.dataclass(frozen=True)
class CheckpointFiles:
    """What a folder's weight files hold.

    Attributes:
        names: Of the files, sorted.
        tensors: By name.
    """

    names: tuple[str, ...]
    tensors: Mapping[str, StoredTensor]


def read_checkpoint(folder: ModelFolder) -> CheckpointFiles:
    """Reads the headers of `model.safetensors`, or of the shards that an index names.

    Raises:
        SourceError: There are no safetensors, a file is damaged, or the index names what is not there.
    """
    names = _shard_names(folder)
    tensors: dict[str, StoredTensor] = {}
    for name in names:
        _add(tensors, read_header(folder.file(name)))
    if folder.has(INDEX_FILE) and not folder.has(SINGLE_FILE):
        _check_index(_weight_map(folder), tensors, folder)
    return CheckpointFiles(names, tensors)


def _add(tensors: dict[str, StoredTensor], found: Mapping[str, StoredTensor]) -> None:
    for name, tensor in found.items():
        if name in tensors:
            raise SourceError(
                "two shards hold a tensor of the same name",
                where=f"{tensors[name].path.name}, {tensor.path.name}",
                received=name,
            )
        tensors[name] = tensor


def _check_index(
    weight_map: Mapping[str, str], tensors: Mapping[str, StoredTensor], folder: ModelFolder
) -> None:
    paths = {file: folder.file(file) for file in set(weight_map.values())}
    for name, file in weight_map.items():
        if name not in tensors or tensors[name].path != paths[file]:
            raise SourceError(
                "the index names a tensor that its shard does not hold",
                where=str(folder.path / INDEX_FILE),
                received=f"{name} in {file}",
                remedy="download the folder again",
            )


def _shard_names(folder: ModelFolder) -> tuple[str, ...]:
    if folder.has(SINGLE_FILE):
        return (SINGLE_FILE,)
    if folder.has(INDEX_FILE):
        return tuple(sorted(set(_weight_map(folder).values())))
    if any(folder.has(name) for name in _PICKLE_FILES):
        raise SourceError(
            "the weights are a Python pickle, which may run code when it is read; npuc does not read it",
            where=str(folder.path),
            received="pytorch_model.bin",
            remedy="convert the weights with safetensors.torch.save_file in an environment you trust",
        )
    raise SourceError(
        "the folder has no weights", where=str(folder.path), received=f"no {SINGLE_FILE}, no {INDEX_FILE}"
    )


def _weight_map(folder: ModelFolder) -> dict[str, str]:
    weight_map = folder.read_json(INDEX_FILE).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise SourceError(
            "the weight index has no valid weight_map",
            where=str(folder.path / INDEX_FILE),
            remedy="download the folder again",
        )
    if len(set(weight_map.values())) > MAX_SHARDS:
        raise SourceError(f"the weight index names more than {MAX_SHARDS} files", where=str(folder.path))
    return weight_map
