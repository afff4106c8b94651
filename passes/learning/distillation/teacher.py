"""The teacher's outputs: computed when a batch comes, or kept on disk from the first time."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from passes.learning.distillation.losses import TopLogits, top_logits
from passes.learning.distillation.observe import observing
from passes.learning.distillation.task import Batch, Task


@dataclasses.dataclass(frozen=True)
class TeacherOutputs:
    """What the student is compared with.

    Attributes:
        logits: [rows, vocabulary], or the largest of each row.
        hidden: Path of the teacher's layer → [batch, n, width].
        attention: Path → maps [batch, heads, n, m].
    """

    logits: torch.Tensor | TopLogits
    hidden: Mapping[str, torch.Tensor]
    attention: Mapping[str, Sequence[torch.Tensor]]


class Teacher(Protocol):
    """Gives outputs for batches."""

    def __call__(self, batch: Batch) -> TeacherOutputs:
        """Returns the outputs, on the batch's device, without gradients."""
        ...


class OnlineTeacher(Teacher):
    """Runs the teacher for every batch.

    Args:
        task: With its weights; it is frozen.
        paths: Layers whose hidden states and attention are wanted.
        hidden: Whether hidden states are.
        attention: Whether attention maps are.
    """

    def __init__(self, task: Task, paths: Sequence[str], hidden: bool, attention: bool) -> None:
        self._task = task.eval().requires_grad_(False)
        self._paths = tuple(paths) if hidden or attention else ()
        self._hidden, self._attention = hidden, attention

    @torch.no_grad()
    def __call__(self, batch: Batch) -> TeacherOutputs:
        """Runs the teacher."""
        with observing(self._task.network, self._paths, self._attention) as seen:
            logits = self._task(batch).logits
        hidden = seen.hidden if self._hidden else {}
        return TeacherOutputs(logits, hidden, seen.attention if self._attention else {})


class CachedTeacher(Teacher):
    """Keeps another teacher's outputs in one safetensors file a batch, named by the batch's content.

    Worth it where batches come again (a data set without augmentation, several runs); values are kept in float16.

    Args:
        teacher: Asked once a batch.
        folder: Of this teacher and these settings alone; made where it is missing.
        top: Logits kept of each row; 0 keeps all.
        temperature: Of the loss, which the normaliser of the top logits depends on.
    """

    def __init__(self, teacher: Teacher, folder: Path, top: int, temperature: float) -> None:
        self._teacher = teacher
        self._folder = folder
        self._top = top
        self._temperature = temperature
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, batch: Batch) -> TeacherOutputs:
        """Reads the outputs, or computes and keeps them."""
        device = next(iter(batch.values())).device
        path = self._folder / f"{self._key(batch)}.safetensors"
        stored = _read(path)
        if stored is None:
            stored = self._flatten(self._teacher(batch))
            # several processes may write the same batch: each its own file, the last one stays
            building = path.with_suffix(f".{os.getpid()}")
            save_file(stored, building)
            building.replace(path)
        return _unflatten({name: tensor.to(device) for name, tensor in stored.items()})

    def _key(self, batch: Batch) -> str:
        digest = hashlib.sha256(f"{self._top} {self._temperature}".encode())
        for name in sorted(batch):
            tensor = batch[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _flatten(self, outputs: TeacherOutputs) -> dict[str, torch.Tensor]:
        logits = outputs.logits
        if self._top and isinstance(logits, torch.Tensor):
            logits = top_logits(logits, self._top, self._temperature)
        named: dict[str, torch.Tensor] = {}
        if isinstance(logits, TopLogits):
            named |= {"top.values": logits.values.half(), "top.indices": logits.indices.int()}
            named["top.normaliser"] = logits.normaliser
        else:
            named["logits"] = logits.half()
        named |= {f"hidden {path}": values.half() for path, values in outputs.hidden.items()}
        for path, maps in outputs.attention.items():
            named |= {f"attention {index} {path}": values.half() for index, values in enumerate(maps)}
        return {name: tensor.cpu().contiguous() for name, tensor in named.items()}


def _read(path: Path) -> dict[str, torch.Tensor] | None:
    """Returns the tensors of a file; None where it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        return None


def _unflatten(stored: Mapping[str, torch.Tensor]) -> TeacherOutputs:
    logits: torch.Tensor | TopLogits
    if "logits" in stored:
        logits = stored["logits"]
    else:
        logits = TopLogits(stored["top.values"], stored["top.indices"].long(), stored["top.normaliser"])
    hidden = {name.split(" ", 1)[1]: values for name, values in stored.items() if name.startswith("hidden ")}
    attention: dict[str, list[torch.Tensor]] = {}
    for name in sorted(name for name in stored if name.startswith("attention ")):
        attention.setdefault(name.split(" ", 2)[2], []).append(stored[name])
    return TeacherOutputs(logits, hidden, attention)
