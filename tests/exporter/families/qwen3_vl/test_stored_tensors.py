"""The list of tensors is the one that transformers writes."""

import dataclasses

import pytest

from exporter.errors import ExportError
from exporter.families.qwen3_vl.config import parse_config
from exporter.families.qwen3_vl.stored_tensors import check_stored_tensors, stored_tensors
from exporter.files.checkpoint_files import read_checkpoint
from exporter.files.model_folder import ModelFolder
from tests.tiny_qwen3_vl import build


@pytest.mark.parametrize("tied", [True, False])
def test_names_and_shapes_are_those_of_transformers(tmp_path, tied):
    build(tmp_path, tied=tied)
    folder = ModelFolder(tmp_path)
    config, tensors = parse_config(folder.config, "config.json"), read_checkpoint(folder).tensors
    assert dict(stored_tensors(config)) == {name: tensor.shape for name, tensor in tensors.items()}
    check_stored_tensors(config, tensors, "folder")
    name = "model.visual.merger.norm.bias"
    with pytest.raises(ExportError, match=rf"(?s)lacks a tensor.*{name}"):
        check_stored_tensors(config, {key: tensors[key] for key in tensors if key != name}, "folder")
    other = dataclasses.replace(tensors[name], shape=(1,))
    with pytest.raises(ExportError, match=rf"(?s)does not fit config.*{name}.*\[1\]"):
        check_stored_tensors(config, {**tensors, name: other}, "folder")
