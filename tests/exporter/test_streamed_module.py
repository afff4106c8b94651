"""A module whose weights stay in their file computes what it computes with all of them in memory."""

import sys

import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from exporter.errors import ExportError, SourceError
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint
from exporter.streamed_module import stream_weights
from tests.memory import watched_memory


class Net(nn.Module):
    """An embedding, layers, a parameter of its own, and an output layer tied to the embedding."""

    def __init__(self, width=8, layers=3, words=50):
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=words - 1)
        self.shift = nn.Parameter(torch.ones(()))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)) for _ in range(layers)
        )
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        hidden = self.embedding(input=ids) + self.shift
        for layer in self.layers:
            hidden = layer(hidden)
        return self.head(hidden)


def store(module, folder, dtype=torch.float32):
    """Writes the weights, without the tied one."""
    tensors = {name: value.detach().to(dtype).contiguous() for name, value in module.named_parameters()}
    save_file(tensors, folder / "model.safetensors")
    tied = {"head.weight": "embedding.weight"}
    return Checkpoint(ModelFolder(folder)).bind(lambda name: tied.get(name, name))


def streamed(bind, **sizes):
    with torch.device("meta"):
        module = Net(**sizes).eval()
    stream_weights(module, bind)
    return module


def all_on_meta(module):
    return all(parameter.is_meta for parameter in module.parameters())


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_computes_the_same(net, tmp_path, dtype):
    module = streamed(store(net, tmp_path, dtype))
    ids = torch.tensor([[49, 0, 1, 2, 7, 7, 48]])
    net.to(dtype).float()  # rounds the weights
    for _ in range(2):
        assert all_on_meta(module)
        with torch.no_grad():
            torch.testing.assert_close(module(ids), net(ids), rtol=0, atol=0)
    assert all_on_meta(module)
    assert module.head.weight is module.embedding.weight


def test_weights_are_dropped_after_an_error(net, tmp_path):
    module = streamed(store(net, tmp_path))
    with pytest.raises(RuntimeError), torch.no_grad():
        module.layers[0](torch.ones(1, 3))
    assert all_on_meta(module)


@pytest.mark.parametrize("word", [50, -1])
def test_a_word_outside_the_table_is_refused_by_the_embedding(net, tmp_path, word):
    module = streamed(store(net, tmp_path))
    with pytest.raises(IndexError), torch.no_grad():
        module(torch.tensor([[word, 3]]))
    assert all_on_meta(module)


def test_only_the_words_that_are_looked_up_are_read(net, tmp_path, monkeypatch):
    module = streamed(store(net, tmp_path))
    read = []

    def read_rows(tensor, start, stop):
        read.append((start, stop))
        return np.zeros((stop - start, 8), np.float32)

    monkeypatch.setattr("exporter.streamed_module.read_rows", read_rows)
    with torch.no_grad():
        module.embedding(torch.tensor([9, 4, 3, 9, 30]))
        module.embedding(torch.empty(0, dtype=torch.int64))
    assert read == [(3, 5), (9, 10), (30, 31)]


def test_a_weight_that_does_not_fit_is_named(net, tmp_path):
    with pytest.raises(ExportError, match=r"(?s)embedding\.weight.*\[50, 8\].*\[25, 16\]"):
        streamed(store(net, tmp_path), width=16, words=25)


def test_a_missing_weight_is_named(net, tmp_path):
    with pytest.raises(ExportError, match=r"(?s)lacks a tensor.*layers\.3\.0\.weight"):
        streamed(store(net, tmp_path), layers=4)


@pytest.mark.parametrize("change", ["truncate", "remove"])
def test_a_file_that_changed_since_is_refused(net, tmp_path, change):
    module = streamed(store(net, tmp_path))
    file = tmp_path / "model.safetensors"
    file.unlink() if change == "remove" else file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(SourceError, match=r"(?s)can no longer be read.*shift"), torch.no_grad():
        module(torch.tensor([[1, 2]]))
    assert all_on_meta(module)


def test_a_buffer_without_a_value_is_named():
    with torch.device("meta"):
        module = nn.BatchNorm1d(3)
    with pytest.raises(ExportError, match=r"(?s)buffer has no value.*running_mean"):
        stream_weights(module, lambda name, dtype, shape: ir.tensor(np.ones(shape, np.float32)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_follows_the_largest_layer(tmp_path):
    for layers in (6, 18):
        folder = tmp_path / str(layers)
        folder.mkdir()
        bind = store(Net(1024, layers), folder, torch.bfloat16)
        module = streamed(bind, width=1024, layers=layers)
        with watched_memory() as peak, torch.no_grad():
            module(torch.zeros(1, 1, dtype=torch.int64))
        assert peak.growth < 4 * 4 * 1024**2
