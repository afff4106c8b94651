"""Code generation in a process of its own: same results, same errors, and nothing survives an interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from targets.errors import TargetError, ToolError
from targets.tvm.component_compiler import compile_component
from targets.tvm.process.remote_compiler import compile_in_worker
from targets.tvm.process.worker_process import CodeGenerationError, generate
from tests.targets.support import X86, make_component, write_weights

_FUNCTIONS = "tests.targets.tvm.process.worker_functions"


@pytest.fixture(scope="module")
def component():
    weight = np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)
    return make_component(
        "(float[2, 16] x) => (float[2, 8] y) { a = MatMul(x, w) b = Add(a, c) y = Relu(b) }",
        {"w": weight, "c": np.ones(8, np.float32)},
    )


def test_the_worker_writes_the_same_bytes(component, tmp_path):
    weights = write_weights([component], tmp_path)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    expected = compile_component(component, weights, X86[0], X86[1], here)
    assert compile_in_worker(component, weights, X86[0], X86[1], there) == expected
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }


def test_one_worker_serves_several_requests(component, tmp_path):
    answers = [generate(f"{_FUNCTIONS}:numbers", component, {}, tmp_path) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["process"] != os.getpid()
    assert answers[0]["nodes"] == 3
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_reads_as_if_it_were_raised_here(component, tmp_path):
    with pytest.raises(TargetError) as raised:
        generate(f"{_FUNCTIONS}:fail", component, {"how": "refusal"}, tmp_path)
    expected = TargetError("no kernel", where="model", received="a\nb", remedy="leave it out")
    assert raised.value.render() == str(raised.value) == expected.render()


def test_a_fault_carries_the_workers_traceback(component, tmp_path):
    with pytest.raises(CodeGenerationError, match="KeyError: 'unforeseen'") as raised:
        generate(f"{_FUNCTIONS}:fail", component, {"how": "fault"}, tmp_path)
    assert "worker_functions.py" in raised.value.__notes__[0]


def test_a_worker_that_dies_is_one_error_and_is_replaced(component, tmp_path):
    with pytest.raises(ToolError, match="SIGKILL"):
        generate(f"{_FUNCTIONS}:fail", component, {"how": "death"}, tmp_path)
    assert generate(f"{_FUNCTIONS}:numbers", component, {}, tmp_path)["nodes"] == 3


def test_a_running_worker_finds_modules_where_its_caller_does(component, tmp_path, monkeypatch):
    generate(f"{_FUNCTIONS}:numbers", component, {}, tmp_path)
    (tmp_path / "added_later.py").write_text(
        "from tests.targets.tvm.process.worker_functions import numbers\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert generate("added_later:numbers", component, {}, tmp_path, ["added_later"])["nodes"] == 3


def test_what_a_library_prints_is_no_answer(component, tmp_path):
    assert generate(f"{_FUNCTIONS}:fail", component, {"how": "noise"}, tmp_path) == {"process": 0, "nodes": 0}


_ASKING = f"""
import signal
import sys
from pathlib import Path
from targets.tvm.process.worker_process import generate
from tests.targets.support import make_component

component = make_component("(float[2] x) => (float[2] y) {{ y = Relu(x) }}")
folder = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a script inherit "ignore"
generate("{_FUNCTIONS}:work_with_child", component, {{"mark": str(folder / "mark")}}, folder)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_worker_and_its_children_end_with_who_asks(tmp_path, number):
    """SIGINT raises KeyboardInterrupt there; after SIGKILL only the worker itself can notice."""
    asking = subprocess.Popen([sys.executable, "-c", _ASKING, str(tmp_path)], stderr=subprocess.DEVNULL)
    _wait(lambda: (tmp_path / "mark").exists() and " " in (tmp_path / "mark").read_text())
    processes = [int(word) for word in (tmp_path / "mark").read_text().split()]
    assert all(map(_runs, processes))
    asking.send_signal(number)
    asking.wait(timeout=60)
    _wait(lambda: not any(map(_runs, processes)))


def _wait(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
