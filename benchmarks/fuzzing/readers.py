"""How npuc reads each kind of file: its own functions, as a compile or a run calls them."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from benchmarks.fuzzing.seeds import MODEL
from exporter.calibration import folder_requests
from exporter.families.generic.recorded_requests import recorded_requests
from exporter.families.qwen3_vl.adapter import patch_layout
from exporter.families.qwen3_vl.config import parse_config
from exporter.generation_config import end_tokens
from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.preprocessing.chat_template import QWEN_TEMPLATE, ChatTemplate, read_template, user_message
from exporter.preprocessing.text import TextTokenizer, read_tokenizer
from exporter.program import TensorSpec
from exporter.sources import open_source
from exporter.sources.exported_program import load_archive
from exporter.weights import Checkpoint
from npuc.manifest import read_manifest
from npuc.recipe_file import load_recipe
from npuc.requests import make_request
from targets.catalogue import load_device

_INPUTS = (TensorSpec("x", ir.DataType.FLOAT, (1, 4)), TensorSpec("ids", ir.DataType.INT64, (2,)))
_PROMPT = "Describe the picture. Grüße, 你好, 42 (a + b)!"


def read_model(path: Path) -> None:
    """A whole ONNX model with the weights beside it: checked, simplified, made into a program."""
    open_source(path / MODEL)


def read_archive(path: Path) -> None:
    """A .pt2 archive: copied without what torch would evaluate, then read by torch."""
    load_archive(path)


def read_weights(path: Path) -> None:
    """The headers of a folder's weights, and every tensor."""
    checkpoint = Checkpoint(ModelFolder(path))
    for name in checkpoint.names:
        checkpoint.stored(name)


def read_config(path: Path) -> None:
    """config.json, the cutting of pictures and the tokens that end an answer."""
    folder = ModelFolder(path)
    patch_layout(folder, parse_config(folder.config, str(path)), CaptureOptions(image_size=(64, 64)))
    end_tokens(folder)


def read_text_files(path: Path) -> None:
    """Tokenizer and chat template, and a prompt through both."""
    folder = ModelFolder(path)
    template = ChatTemplate(read_template(folder, QWEN_TEMPLATE))
    tokenizer = TextTokenizer(read_tokenizer(folder))
    ids = tokenizer.encode(template.render([user_message(_PROMPT, 1)]))
    tokenizer.decode(ids)


def read_calibration(path: Path) -> None:
    """The requests that a folder brings along."""
    folder_requests(ModelFolder(path))


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
