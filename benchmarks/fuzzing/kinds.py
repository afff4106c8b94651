"""The kinds of files that npuc reads: a valid one of each, how it is damaged, and the code of npuc that reads it."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzzing import readers, seeds
from benchmarks.fuzzing.mutate import Mutate, mutate_bytes, mutate_json, mutate_text

Read = Callable[[Path], None]
"""Hands a file, or the folder it lies in, to npuc."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: Of the kind.
        parser: What reads it, in words.
        make: Writes valid files into a folder.
        file: Which of them is damaged.
        mutate: Damages its content.
        read: What npuc does with it.
        in_folder: Whether `read` takes a folder with all files, rather than the damaged file.
        share: Of all mutations, relative to the other kinds: what takes longer gets fewer.
    """

    name: str
    parser: str
    make: Callable[[Path], None]
    file: str
    mutate: Mutate
    read: Read
    in_folder: bool = False
    share: int = 8

    def damage(self, valid: Path, scratch: Path, rng: random.Random) -> Path:
        """Writes one damaged file.

        Args:
            valid: Folder with what `make` wrote.
            scratch: Folder to write into.
            rng: Decides the damage.

        Returns:
            What to read.
        """
        data = self.mutate((valid / self.file).read_bytes(), rng)
        if not self.in_folder:
            path = scratch / f"damaged{Path(self.file).suffix}"
            path.write_bytes(data)
            return path
        copy = scratch / "damaged"
        shutil.copytree(valid, copy)
        (copy / self.file).write_bytes(data)
        return copy


def _folder(name: str, parser: str, file: str, mutate: Mutate = mutate_json, share: int = 2) -> Kind:
    make = seeds.write_shards if file.endswith((".index.json", "a.safetensors")) else seeds.write_folder
    return Kind(name, parser, make, file, mutate, readers.read_folder, in_folder=True, share=share)


_ALL = (
    Kind("onnx", "ONNX file, with external data", seeds.write_onnx, seeds.MODEL, seeds.mutate_onnx,
         readers.read_model, in_folder=True, share=4),
    Kind("pt2", ".pt2 archive", seeds.write_pt2, seeds.ARCHIVE, seeds.mutate_archive, readers.read_archive, share=2),
    _folder("safetensors", "safetensors header", "a.safetensors", seeds.mutate_header),
    _folder("index", "safetensors index", "model.safetensors.index.json"),
    _folder("config", "config.json", "config.json", share=4),
    _folder("generation", "generation_config.json", "generation_config.json"),
    _folder("preprocessor", "preprocessor_config.json", "preprocessor_config.json"),
    _folder("tokenizer", "tokenizer.json", "tokenizer.json"),
    _folder("tokenizer_config", "tokenizer_config.json", "tokenizer_config.json"),
    _folder("template", "chat template", "chat_template.jinja", mutate_text),
    _folder("calibration", "calibration.json", "calibration.json"),
    Kind("recipe", "recipe", seeds.write_recipe, "recipe.toml", mutate_text, readers.read_recipe),
    Kind("device", "device file", seeds.write_device, "device.toml", mutate_text, readers.read_device),
    Kind("manifest", "artifact manifest", seeds.write_artifact, "manifest.json", mutate_json, readers.read_artifact,
         in_folder=True),
    Kind("npz", "recorded inputs (.npz)", seeds.write_arrays, "inputs.npz", mutate_bytes, readers.read_inputs),
    Kind("npy", "raw input (.npy)", seeds.write_arrays, "x.npy", mutate_bytes, readers.read_tensor),
    Kind("png", "PNG picture", seeds.write_arrays, "a.png", mutate_bytes, readers.read_picture),
    Kind("jpeg", "JPEG picture", seeds.write_arrays, "a.jpg", mutate_bytes, readers.read_picture),
    Kind("wav", "WAV sound", seeds.write_arrays, "a.wav", mutate_bytes, readers.read_sound),
)  # fmt: skip

KINDS = {kind.name: kind for kind in _ALL}
"""By name."""
