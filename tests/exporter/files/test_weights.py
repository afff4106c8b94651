"""Checkpoints: what is read right, and every way a folder can be damaged or hostile."""

import contextlib
import json

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from exporter.errors import ExportError, SourceError
from exporter.files.model_folder import ModelFolder
from exporter.files.safetensors_header import read_header
from exporter.files.weights import Checkpoint

F32, F16 = ir.DataType.FLOAT, ir.DataType.FLOAT16


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture
def sharded(tmp_path):
    """Two shards and an index."""
    save_file({"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, tmp_path / "one.safetensors")
    save_file({"b": np.arange(4).astype(ml_dtypes.bfloat16)}, tmp_path / "two.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def test_reads_shards(sharded):
    checkpoint = Checkpoint(ModelFolder(sharded))
    assert checkpoint.names == ("a", "b")
    a = checkpoint.tensor("a", F32, (2, 3))
    assert isinstance(a, ir.ExternalTensor)
    np.testing.assert_array_equal(a.numpy(), np.arange(6).reshape(2, 3))


def test_bfloat16_converts_exactly_to_float32(tmp_path):
    values = np.random.default_rng(0).standard_normal((65, 7)).astype(ml_dtypes.bfloat16)
    save_file({"w": values}, tmp_path / "model.safetensors")
    tensor = Checkpoint(ModelFolder(tmp_path)).tensor("w", F32, (65, 7))
    assert (tensor.name, tensor.dtype) == ("w", F32)
    np.testing.assert_array_equal(tensor.numpy(), values.astype(np.float32))
    assert tensor.tobytes() == values.astype(np.float32).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_converts_to_float16(tmp_path, dtype):
    values = np.array([1.5, -0.1, 65504, 1e-7]).astype(dtype)
    values[2] = 65280 if dtype == ml_dtypes.bfloat16 else 65504
    save_file({"w": values}, tmp_path / "model.safetensors")
    tensor = Checkpoint(ModelFolder(tmp_path)).tensor("w", F16, (4,))
    np.testing.assert_array_equal(tensor.numpy(), values.astype(np.float32).astype(np.float16))


def test_a_weight_beyond_float16_is_named(tmp_path):
    save_file({"w": np.array([1.0, 7e4], np.float32)}, tmp_path / "model.safetensors")
    tensor = Checkpoint(ModelFolder(tmp_path)).tensor("w", F16, (2,))
    with pytest.raises(ExportError, match=r"(?s)range of float16.*w.*70000"):
        tensor.numpy()


def test_a_missing_tensor_is_named(sharded):
    with pytest.raises(ExportError, match=r"(?s)lacks a tensor.*layers\.7\.weight"):
        Checkpoint(ModelFolder(sharded)).tensor("layers.7.weight", F32, (1,))


def test_a_shape_mismatch_names_both_shapes(sharded):
    with pytest.raises(
        ExportError, match=r"(?s)one\.safetensors: a.*\[2, 3\], config\.json asks for \[3, 2\]"
    ):
        Checkpoint(ModelFolder(sharded)).tensor("a", F32, (3, 2))


def test_an_integer_weight_cannot_be_captured(tmp_path):
    save_file({"w": np.ones(4, np.int32)}, tmp_path / "model.safetensors")
    with pytest.raises(ExportError, match=r"(?s)element type.*I32"):
        Checkpoint(ModelFolder(tmp_path)).tensor("w", F32, (4,))


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": entry()}, b"\0" * 4, "end at byte"),
        ({"a": entry()}, b"\0" * 12, "end at byte"),
        ({"a": entry(offsets=(0, 1 << 50), shape=(1 << 48,))}, b"\0" * 8, "end at byte"),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12, "overlaps"),
        ({"a": entry(), "b": entry(offsets=(12, 20))}, b"\0" * 20, "gap"),
        ({"a": entry(offsets=(8, 0))}, b"\0" * 8, "offsets"),
        ({"a": entry(offsets=(-8, 0))}, b"\0" * 8, "offsets"),
        ({"a": entry(shape=(3,))}, b"\0" * 8, "does not fill"),
        ({"a": entry(shape=(True, 2))}, b"\0" * 8, "shape"),
        ({"a": entry(shape=(2.0,))}, b"\0" * 8, "shape"),
        ({"a": entry(dtype="F31")}, b"\0" * 8, "F31"),
        ({"a": entry(dtype=["F32"])}, b"\0" * 8, "F32"),
        ({"a": {"dtype": "F32"}}, b"", "not a tensor"),
        ([1], b"", "not a JSON object"),
        (b"{nonsense", b"", "not valid JSON"),
        (b"[" * 100_000, b"", "not valid JSON"),
        (b"\xff\xfe", b"", "not valid JSON"),
    ],
)
def test_damaged_files_end_in_a_sentence(tmp_path, header, data, message):
    with pytest.raises(SourceError, match=message):
        read_header(write(tmp_path / "model.safetensors", header, data))


@pytest.mark.parametrize("length", [1 << 63, 200_000_000, 100])
def test_a_header_longer_than_the_file_allocates_nothing(tmp_path, length):
    with pytest.raises(SourceError, match="truncated or its header is too large"):
        read_header(write(tmp_path / "model.safetensors", {}, length=length))


@pytest.mark.parametrize("size", [0, 3, 7])
def test_a_file_of_a_few_bytes(tmp_path, size):
    (tmp_path / "model.safetensors").write_bytes(b"\0" * size)
    with pytest.raises(SourceError, match="truncated"):
        read_header(tmp_path / "model.safetensors")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 80))
def test_random_bytes_never_end_in_another_exception(tmp_path_factory, data, length):
    path = tmp_path_factory.mktemp("fuzz") / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + data)
    with contextlib.suppress(SourceError):
        read_header(path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "", "a\x00b", "..\\b"]
)
def test_an_index_cannot_name_files_outside(sharded, name):
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(SourceError, match="outside the folder"):
        Checkpoint(ModelFolder(sharded))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "secret")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match="link points outside"):
        Checkpoint(ModelFolder(folder))


def test_links_of_the_hugging_face_cache_are_followed(tmp_path):
    snapshot = tmp_path / "models--x--y" / "snapshots" / "0123"
    blobs = tmp_path / "models--x--y" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file({"w": np.ones(2, np.float32)}, blobs / "abc")
    (snapshot / "model.safetensors").symlink_to("../../blobs/abc")
    tensor = Checkpoint(ModelFolder(snapshot)).tensor("w", F32, (2,))
    np.testing.assert_array_equal(tensor.numpy(), [1, 1])


def test_a_missing_shard(sharded):
    (sharded / "two.safetensors").unlink()
    with pytest.raises(SourceError, match=r"(?s)missing.*two\.safetensors"):
        Checkpoint(ModelFolder(sharded))


def test_an_index_that_disagrees_with_its_shards(sharded):
    weight_map = {"a": "two.safetensors", "b": "one.safetensors"}
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(SourceError, match="index names a tensor"):
        Checkpoint(ModelFolder(sharded))


def test_one_name_in_two_shards(sharded):
    save_file({"a": np.ones(1, np.float32), "b": np.ones(1, np.float32)}, sharded / "two.safetensors")
    with pytest.raises(SourceError, match="two shards"):
        Checkpoint(ModelFolder(sharded))


@pytest.mark.parametrize("weight_map", [None, [], {"a": 3}])
def test_a_malformed_index(sharded, weight_map):
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(SourceError, match="weight_map"):
        Checkpoint(ModelFolder(sharded))


def test_pickles_are_refused_unread(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(SourceError, match="pickle"):
        Checkpoint(ModelFolder(tmp_path))


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(SourceError, match="no weights"):
        Checkpoint(ModelFolder(tmp_path))
