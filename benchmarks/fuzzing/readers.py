"""How npuc reads each kind of file: its own functions, as a compile or a run calls them."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from benchmarks.fuzzing.seeds import MODEL
from exporter.calibration import folder_requests
from exporter.families.generic.recorded_requests import recorded_requests
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint
from exporter.preprocessing.chat_template import QWEN_TEMPLATE, ChatTemplate, read_template, user_message
from exporter.preprocessing.text import TextTokenizer, read_tokenizer
from exporter.sources import open_source
from exporter.sources.examine import examine_source
from exporter.sources.torch_programs.exported_program import load_archive
from npuc.artifact.manifest import read_manifest
from npuc.artifact.requests import make_request
from npuc.settings.recipe_file import load_recipe
from program.program import TensorSpec
from targets.devices.catalogue import load_device

_INPUTS = (TensorSpec("x", ir.DataType.FLOAT, (1, 4)), TensorSpec("ids", ir.DataType.INT64, (2,)))
_PROMPT = "Describe the picture. Grüße, 你好, 42 (a + b)!"


def read_model(path: Path) -> None:
    """A whole ONNX model with the weights beside it: checked, simplified, made into a program."""
    open_source(path / MODEL)


def read_archive(path: Path) -> None:
    """A .pt2 archive: copied without what torch would evaluate, then read by torch."""
    examine_source(str(path))
    load_archive(path)


def read_folder(path: Path) -> None:
    """A model folder up to its capture: all files looked through, then read again; a prompt to tokens and back."""
    examine_source(str(path))
    folder = ModelFolder(path)
    checkpoint = Checkpoint(folder)
    for name in checkpoint.names:
        checkpoint.stored(name)
    folder_requests(folder)
    text = ChatTemplate(read_template(folder, QWEN_TEMPLATE)).render([user_message(_PROMPT, 1)])
    tokenizer = TextTokenizer(read_tokenizer(folder))
    tokenizer.decode(tokenizer.encode(text))


def read_inputs(path: Path) -> None:
    """Recorded inputs."""
    recorded_requests(path, _INPUTS)


def read_picture(path: Path) -> None:
    """A picture of a request."""
    make_request(image=path)


def read_sound(path: Path) -> None:
    """A sound of a request."""
    make_request(audio=path)


def read_tensor(path: Path) -> None:
    """A raw input of a request."""
    make_request(tensors={"x": path})


def read_recipe(path: Path) -> None:
    """A recipe."""
    load_recipe(path)


def read_device(path: Path) -> None:
    """A device file."""
    load_device(path)


def read_artifact(path: Path) -> None:
    """An artifact's manifest."""
    read_manifest(path)
