"""Which libraries a command waits for: the seconds of an import are only spent where it is used."""

import json
import os
import subprocess
import sys

import click
import onnx
import pytest
from onnx import TensorProto, helper

from npuc.cli import cli

GRAPH = frozenset({"numpy", "onnx", "onnx_ir", "sympy"})
"""What looking at a model takes."""

HEAVY = frozenset({"onnxruntime", "onnxscript", "scipy", "torch", "transformers", "tvm"})

TRAINING = frozenset(
    {
        "passes.learning.distillation.run",
        "passes.learning.subnetworks.train",
        "passes.learning.qat.run",
        "passes.learning.training.trainer",
    }
)

SCRIPT = """
import json, sys
from npuc.cli import run
codes = [run(arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([codes, [name for name, module in sys.modules.items() if module is not None]]))
"""


@pytest.fixture
def imported(tmp_path):
    """Runs command lines in one new process; returns their exit codes and the names of all imported modules."""

    def invoke(*lines):
        lines = [[str(argument) for argument in line] for line in lines]
        environment = os.environ | {"NPUC_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(lines)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        codes, modules = json.loads(done.stdout.splitlines()[-1])
        return codes, frozenset(modules)

    return invoke


def add(path, op_type="Add"):
    """Writes a model of one node."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph([helper.make_node(op_type, ["x", "y"], ["z"])], "g", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return path


def test_every_command_is_where_the_help_says():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        assert cli.get_command(context, name).name == name
    assert cli.get_command(context, "compil") is None


def test_the_help_needs_no_command(imported):
    codes, modules = imported(["--help"])
    assert codes == [0]
    assert not [name for name in modules if name.startswith("npuc.commands.")]


def test_commands_without_a_model_need_no_graphs(imported, tmp_path):
    helps = [[name, "--help"] for name in cli.list_commands(click.Context(cli))]
    lines = [
        ["devices"],
        ["devices", "galaxy-s25"],
        ["recipe", "show", "mid"],
        ["cache", "list"],
        ["tools", "list"],
    ]
    no_artifact = [[command, tmp_path] for command in ("inspect", "run", "verify")]
    codes, modules = imported(*helps, *lines, *no_artifact)
    assert codes == [0] * len(helps + lines) + [1] * len(no_artifact)
    assert not modules & (GRAPH | HEAVY)


def test_a_wrong_command_line_needs_no_graphs(imported, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "recipe.toml").write_text("[precision]\nvison = 'e4m3'\n")
    (tmp_path / "empty.onnx").touch()
    model, out = add(tmp_path / "add.onnx"), tmp_path / "out"
    codes, modules = imported(
        ["compile", model, "--device", "vivo-x20", "-o", out],
        ["compile", model, "--device", "vivo-x200", "-o", tmp_path / "kept"],
        ["compile", model, "--device", "vivo-x200", "--recipe", tmp_path / "recipe.toml", "-o", out],
        ["compile", model, "--device", "vivo-x200", "--qat", "step=1", "-o", out],
        ["compile", tmp_path / "none.onnx", "--device", "vivo-x200", "-o", out],
        ["compile", tmp_path / "empty.onnx", "--device", "vivo-x200", "-o", out],
        ["coverage", model, "--device", "vivo-x20"],
        ["coverage", tmp_path / "empty.onnx", "--device", "vivo-x200"],
    )
    assert codes == [2] * 8
    assert not modules & (GRAPH | HEAVY)


@pytest.mark.parametrize("device", ["vivo-x200", "galaxy-s25"])
def test_a_refused_model_needs_nothing_but_graphs(imported, tmp_path, device):
    (tmp_path / "damaged.onnx").write_bytes(b"no protocol buffer")
    (tmp_path / "folder").mkdir()
    unknown = add(tmp_path / "unknown.onnx", "Addition")
    wrong = [tmp_path / name for name in ("damaged.onnx", "folder")]
    compiled = [["compile", model, "--device", device, "-o", tmp_path / "out"] for model in (*wrong, unknown)]
    placed = [["coverage", model, "--device", device] for model in (*wrong, unknown)]
    codes, modules = imported(*compiled, *placed)
    assert codes == [2, 2, 3] * 2
    assert not modules & (HEAVY | TRAINING)
    assert not (tmp_path / "out").exists()


def test_a_graph_of_one_node_is_compiled_without_torch(imported, tmp_path):
    line = ["compile", add(tmp_path / "add.onnx"), "--device", "vivo-x200", "-o", tmp_path / "out", "--quiet"]
    codes, modules = imported(line)
    assert codes == [0]
    assert not modules & ({"torch", "transformers", "scipy"} | TRAINING)
    assert "tvm" not in modules  # it is in the worker that generates code
    codes, modules = imported(line, ["verify", tmp_path / "out"], ["inspect", tmp_path / "out"])
    assert codes == [0, 0, 0]
    assert not modules & (HEAVY - {"onnxruntime"} | TRAINING), "all is in the cache"
