"""What torch would evaluate in the graph of a .pt2 file is left out or refused."""

import copy
import json

import numpy as np
import pytest
import torch

from exporter.errors import SourceError
from exporter.sources import open_source
from exporter.sources.torch_programs.pt2_graph import UnsafeGraphError, check_path, copy_graph
from exporter.sources.torch_programs.pt2_operators import ATEN_OPERATORS, is_allowed_operator
from program.onnx_executor import OnnxExecutor
from tests.exporter.sources.torch_programs.pt2_files import edit_graph, save_small

CODE = "__import__('pathlib').Path({!r}).touch()"


@pytest.fixture
def pt2(tmp_path):
    return save_small(tmp_path / "small.pt2")


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "code_was_run"


def run_program(path):
    """Opens a file and runs both what npuc captured and the original."""
    program = open_source(path)
    feeds = {"picture": np.ones((1, 3, 2, 4), np.float32)}
    program.original.openers["model"]()(feeds)
    return OnnxExecutor(program.components["model"].model)(feeds)


def test_guards_are_left_out(pt2, marker):
    edit_graph(pt2, lambda document: document.update(guards_code=[f"{CODE.format(str(marker))} is None"]))
    assert run_program(pt2)
    assert not marker.exists()


def rename(document, old, new):
    text = json.dumps(document).replace(json.dumps(old), json.dumps(new))
    document.clear()
    document.update(json.loads(text))


def _spec(kind, context):
    return json.dumps([1, {"type": kind, "context": context, "children_spec": []}])


def _module_call(document):
    return document["graph_module"]["module_call_graph"][0]["signature"]


HOSTILE = {
    "placeholder": lambda d, code: rename(d, "picture", f"picture={code}"),
    "node": lambda d, code: rename(d, "linear", f"linear = {code}; linear"),
    "parameter": lambda d, code: rename(d, "layer.weight", f'layer.w"), {code}, getattr(self, "b'),
    "forward argument": lambda d, code: _module_call(d).update(forward_arg_names=[f"picture={code}"]),
    "keyword": lambda d, code: _module_call(d).update(
        in_spec=_spec("builtins.dict", json.dumps([f"picture={code}"]))
    ),
    "factory": lambda d, code: _module_call(d).update(
        out_spec=_spec(
            "collections.defaultdict",
            {"default_factory_module": "os", "default_factory_name": "getcwd", "dict_context": []},
        )
    ),
    "enum": lambda d, code: _module_call(d).update(
        in_spec=_spec("builtins.dict", '[{"__enum__": true, "fqn": "antigravity:x", "name": "y"}]')
    ),
    "reads a file": lambda d, code: rename(
        d, "torch.ops.aten.relu.default", "torch.ops.aten.from_file.default"
    ),
    "attribute": lambda d, code: rename(d, "torch.ops.aten.relu.default", "torch.ops.aten.relu.__class__"),
    "operator argument": lambda d, code: d["graph_module"]["graph"]["nodes"][0]["inputs"][0].update(
        arg={"as_operator": "torch.os.system"}
    ),
    "custom object": lambda d, code: d["graph_module"]["graph"]["custom_obj_values"].update(
        o={"name": "o", "class_fqn": "x"}
    ),
    "symbols": lambda d, code: d["range_constraints"].update({code: {"min_val": 0, "max_val": 9}}),
    "dialect": lambda d, code: d.update(verifiers=["EDGE"]),
}


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_might_be_evaluated_is_refused(pt2, marker, edit):
    edit_graph(pt2, lambda document: edit(document, CODE.format(str(marker))))
    with pytest.raises(SourceError, match="might run code"):
        run_program(pt2)
    assert not marker.exists()


@pytest.mark.parametrize("missing", ["graph_module", "verifiers", "range_constraints"])
def test_a_graph_without_a_part_is_damaged(pt2, missing):
    edit_graph(pt2, lambda document: document.pop(missing))
    with pytest.raises(SourceError, match="damaged"):
        open_source(pt2)


def test_notes_for_people_are_left_out_and_modules_are_kept(pt2):
    documents = []
    edit_graph(pt2, lambda document: documents.append(copy.deepcopy(document)))
    node = copy_graph(documents[0])["graph_module"]["graph"]["nodes"][0]
    assert list(node["metadata"]) == ["nn_module_stack"]
    assert "layer" in node["metadata"]["nn_module_stack"]


@pytest.mark.parametrize("path", ["", "a..b", 'a"b', "a b", "a\\", "ä", 3])
def test_paths_that_are_refused(path):
    with pytest.raises(UnsafeGraphError):
        check_path(path)


def test_every_operator_of_the_list_is_one_of_torch():
    assert [name for name in ATEN_OPERATORS if not hasattr(torch.ops.aten, name)] == []


@pytest.mark.parametrize(
    "name", ["from_file", "save", "set_", "resize_", "warn", "_print", "manual_seed", "open"]
)
def test_operators_with_effects_are_not_allowed(name):
    assert not any(
        is_allowed_operator(f"torch.ops.aten.{name}.{kind}") for kind in ("default", "source_Storage")
    )


class Everything(torch.nn.Module):
    """Parts that ordinary networks are made of."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.layers = torch.nn.ModuleDict({"first-layer": torch.nn.LayerNorm(4)})
        self.attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
        self.scale = torch.ones(3)

    def forward(self, picture, *, mask):
        value = torch.nn.functional.silu(self.norm(self.convolution(picture)), inplace=True)
        value = self.layers["first-layer"](value.flatten(2).transpose(1, 2) + torch.arange(4))
        value, _ = self.attention(value, value, value)
        first, second = torch.split(value, 2, dim=-1)
        return {"a": first, "b": [second, value.masked_fill(mask, 0.0) + self.scale[0]]}


def test_an_ordinary_file_passes(tmp_path):
    path = tmp_path / "whole.pt2"
    example = {"mask": torch.zeros(1, 36, 4, dtype=torch.bool)}
    with torch.no_grad():
        torch.export.save(torch.export.export(Everything().eval(), (torch.ones(1, 3, 8, 8),), example), path)
    program = open_source(path)
    assert [spec.name for spec in program.components["model"].inputs] == ["picture", "mask"]
    assert len(program.components["model"].outputs) == 3
