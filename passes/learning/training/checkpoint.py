"""Checkpoints: a folder with safetensors and a JSON file, complete or not there at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from passes.learning.training.errors import TrainingError

VERSION = 1
STATE_FILE = "state.json"

_NAME = re.compile(r"step-(\d{9})")
_SHARD_BYTES = 2 << 30
_MAX_STATE_BYTES = 1 << 30


class Checkpoint:
    """A checkpoint that was written.

    Args:
        folder: From `newest_checkpoint`.

    Attributes:
        state: Everything but the tensors.

    Raises:
        TrainingError: A file is missing or damaged, or comes from another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = _read_state(folder)
        self._files: dict[str, str] = self.state["files"]

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Reads a tensor.

        Raises:
            TrainingError: It is missing, damaged, or of another shape.
        """
        if name not in self._files:
            raise _unusable(self.folder, f"no tensor {name}")
        try:
            with safe_open(self.folder / Path(self._files[name]).name, framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise _unusable(self.folder, f"{name}: {error}") from error
        if tuple(tensor.shape) != shape:
            raise _unusable(
                self.folder, f"{name} of shape {list(tensor.shape)}, the module's is {list(shape)}"
            )
        return tensor


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the complete checkpoint of the latest step in a folder."""
    complete = _complete(folder)
    return complete[-1] if complete else None


def write_checkpoint(
    folder: Path, step: int, tensors: Iterable[tuple[str, torch.Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Writes a checkpoint beside the others and deletes the oldest.

    Args:
        folder: Of all checkpoints; made where it is missing.
        step: Steps done.
        tensors: By name, taken one after another; only about 2 GiB are held at once.
        state: JSON.
        keep: How many of the newest stay.

    Returns:
        The checkpoint's folder. It appears under this name when everything is in it.
    """
    target = folder / f"step-{step:09d}"
    building = folder / f".{target.name}.incomplete"
    for leftover in folder.glob(".step-*.incomplete"):
        shutil.rmtree(leftover)
    building.mkdir(parents=True)
    files = _write_tensors(building, tensors)
    document = {"version": VERSION, "step": step, "files": files, **state}
    (building / STATE_FILE).write_text(json.dumps(document), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    for old in _complete(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def _write_tensors(folder: Path, tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, str]:
    files: dict[str, str] = {}
    pending: dict[str, torch.Tensor] = {}

    def flush() -> None:
        name = f"tensors-{len(set(files.values())):05d}.safetensors"
        save_file(pending, folder / name)
        files.update(dict.fromkeys(pending, name))
        pending.clear()

    for name, tensor in tensors:
        # a copy: parameters may be views of one storage, which safetensors refuses
        pending[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if sum(tensor.nbytes for tensor in pending.values()) >= _SHARD_BYTES:
            flush()
    if pending or not files:
        flush()
    return files


def _complete(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / STATE_FILE
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            raise _unusable(folder, f"{STATE_FILE} of {path.stat().st_size} bytes")
        state = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(folder, str(error)[:200]) from error
    if (
        not isinstance(state, dict)
        or state.get("version") != VERSION
        or not isinstance(state.get("files"), dict)
    ):
        raise _unusable(folder, f"{STATE_FILE} is not of version {VERSION}")
    return state


def _unusable(folder: Path, received: str) -> TrainingError:
    return TrainingError(
        "the checkpoint cannot be used",
        where=str(folder),
        received=received,
        remedy="continue with the model it was made with, delete this checkpoint, or start in an empty folder",
    )
