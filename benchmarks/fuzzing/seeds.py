"""Valid files of each kind."""

from __future__ import annotations

import importlib.resources
import io
import json
import random
import shutil
import tomllib
import wave
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.fuzzing.mutate import mutate_bytes, mutate_json, mutate_message
from npuc.version import SCHEMA_VERSION

MODEL = "model.onnx"
ARCHIVE = "model.pt2"


def write_onnx(folder: Path) -> None:
    """A convolution, a function, a subgraph-free attention and weights in a file of their own."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)

    weights = [weight("kernel", 4, 3, 3, 3), weight("bias", 4), weight("query", 4, 4), weight("far", 4, 8)]
    weights.append(numpy_helper.from_array(np.array([1, 64, 4], np.int64), "shape"))
    weights[3].ClearField("raw_data")
    (folder / "weights.bin").write_bytes(rng.standard_normal((4, 8)).astype(np.float32).tobytes())
    weights[3].data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "128")):
        weights[3].external_data.add(key=key, value=value)
    double = helper.make_function(
        "own",
        "Double",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 20)],
    )
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("Transpose", ["positive"], ["moved"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["moved", "shape"], ["tokens"]),
        helper.make_node("MatMul", ["tokens", "query"], ["queries"]),
        helper.make_node("Softmax", ["queries"], ["scores"], axis=-1),
        helper.make_node("Double", ["scores"], ["doubled"], domain="own"),
        helper.make_node("Constant", [], ["half"], value=numpy_helper.from_array(np.array(0.5, np.float32))),
        helper.make_node("Mul", ["doubled", "half"], ["halved"]),
        helper.make_node("MatMul", ["halved", "far"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "seed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 8])],
        weights,
    )
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, functions=[double], opset_imports=imports, ir_version=10)
    onnx.save_model(model, folder / MODEL)


def mutate_onnx(data: bytes, rng: random.Random) -> bytes:
    """Changes fields of the graph, or bytes of the file."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    model = onnx.ModelProto.FromString(data)
    mutate_message(model, rng)
    return model.SerializeToString()


def write_pt2(folder: Path) -> None:
    """A small network, exported."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.LayerNorm(6), nn.Linear(6, 2))
    torch.export.save(torch.export.export(module.eval(), (torch.randn(1, 4),)), folder / ARCHIVE)


def mutate_archive(data: bytes, rng: random.Random) -> bytes:
    """Changes one member of a zip archive, its name, or bytes of the whole."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    source = _members(data)
    names = list(source)
    name = rng.choice(names + 4 * [name for name in names if name.endswith(".json")])
    content = source[name]
    if name.endswith(".json") and content.lstrip()[:1] in (b"{", b"["):
        source[name] = mutate_json(content, rng)
    elif rng.random() < 0.2:
        source[rng.choice(("../out", "/out", name + "x", "a" * 300))] = source.pop(name)
    else:
        source[name] = mutate_bytes(content, rng)
    return _archive(source)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write_folder(folder: Path) -> None:
    """A small Qwen3-VL folder; needs transformers."""
    from tests.tiny_qwen3_vl import build

    build(folder, tied=True)
    (folder / "calibration.json").write_text(
        json.dumps({"requests": [{"prompt": "What is it?", "image": "a.png", "answer": "A shelf."}]})
    )
    Image.new("RGB", (16, 16), (200, 30, 40)).save(folder / "a.png")


def mutate_header(data: bytes, rng: random.Random) -> bytes:
    """Changes the header of a safetensors file, or bytes of it."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    length = int.from_bytes(data[:8], "little")
    header = mutate_json(data[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def write_shards(folder: Path) -> None:
    """The same folder with its weights in two files and an index."""
    write_folder(folder)
    whole = folder / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    files = {name: f"{'ab'[number % 2]}.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in sorted(set(files.values())):
        save_file({name: tensors[name] for name in files if files[name] == file}, folder / file)
    index = {"metadata": {"total_size": 0}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_recipe(folder: Path) -> None:
    """The recipe of a tier with a section of its own."""
    text = importlib.resources.files("npuc").joinpath("recipes", "mid.toml").read_text("utf-8")
    tomllib.loads(text)
    (folder / "recipe.toml").write_text(text)


def write_device(folder: Path) -> None:
    """A device of the catalogue."""
    text = importlib.resources.files("targets").joinpath("devices", "galaxy-s25.toml").read_text("utf-8")
    (folder / "device.toml").write_text(text)


def write_artifact(folder: Path) -> None:
    """The manifest of a compiled model."""
    from npuc.api import compile_model

    write_onnx(folder)
    compile_model(str(folder / MODEL), device="vivo-x200", out=folder / "artifact")
    values = json.loads((folder / "artifact" / "manifest.json").read_text())
    if values["schema_version"] != SCHEMA_VERSION:
        raise RuntimeError("the manifest is not of this version")
    shutil.rmtree(folder / "artifact")
    (folder / "manifest.json").write_text(json.dumps(values))


def write_arrays(folder: Path) -> None:
    """Calibration inputs, a picture in two formats, a sound."""
    np.savez(folder / "inputs.npz", x=np.ones((2, 1, 4), np.float32), ids=np.zeros((2, 2), np.int64))
    np.save(folder / "x.npy", np.ones((1, 4), np.float32))
    pixels = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels).save(folder / "a.jpg")
    with wave.open(str(folder / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(3200))
