"""Each way a command may be held up when SIGINT or SIGTERM arrives."""

import itertools
import signal
import time
from pathlib import Path

import onnx
import pytest

from tests.npuc.signalled import Running

LONGEST_S = 10.0
"""From the signal to the end on a loaded machine; 2 s on an idle one."""


def _compile(tmp_path, source):
    (tmp_path / "model.py").write_text(source)
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    command = ("compile", f"{tmp_path / 'model.py'}:build", "--device", "galaxy-s25", "-o", place / "out")
    running = Running(*command, cache=tmp_path / "cache")
    running.wait_until((tmp_path / "mark").exists)
    return running


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_native_call_that_does_not_return_is_ended(tmp_path, number, code):
    """A POSIX mutex that is locked twice: no signal handler of Python's ever runs."""
    source = f"""
import ctypes, pathlib, tempfile

def build():
    folder = tempfile.TemporaryDirectory(dir={str(tmp_path / "place")!r})
    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    pathlib.Path({str(tmp_path / "mark")!r}).touch()
    library.pthread_mutex_lock(mutex)
"""
    running = _compile(tmp_path, source)
    assert list((tmp_path / "place").iterdir()) != []
    ended, seconds, written = running.end(number)
    assert ended == code, written
    assert seconds < LONGEST_S
    assert "nothing was written" in written
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize("rest", ["raise ValueError('no model')", "time.sleep(60)"])
def test_a_swallowed_signal_still_ends_the_command(tmp_path, rest):
    source = f"""
import contextlib, pathlib, time

def build():
    with contextlib.suppress(BaseException):
        pathlib.Path({str(tmp_path / "mark")!r}).touch()
        time.sleep(60)
    {rest}
"""
    ended, seconds, written = _compile(tmp_path, source).end(signal.SIGINT)
    assert ended == 130, written
    assert seconds < LONGEST_S
    assert list((tmp_path / "place").iterdir()) == []


def test_children_end_with_the_command(tmp_path):
    source = f"""
import pathlib, subprocess, ctypes

def build():
    child = subprocess.Popen(["sleep", "60"])
    pathlib.Path({str(tmp_path / "child")!r}).write_text(str(child.pid))
    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    pathlib.Path({str(tmp_path / "mark")!r}).touch()
    library.pthread_mutex_lock(mutex)
"""
    running = _compile(tmp_path, source)
    child = int((tmp_path / "child").read_text())
    assert running.end(signal.SIGTERM)[0] == 143
    assert not _runs(child)


def _runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Kernels of choices upon choices: code for them takes the longest."""
    names = ["x", *(f"v{number}" for number in range(199)), "y"]
    nodes = "\n".join(f"{after} = Sigmoid({before})" for before, after in itertools.pairwise(names))
    header = '<ir_version: 10, opset_import: ["": 20]> g (float[1,64] x) => (float[1,64] y)'
    path = tmp_path_factory.mktemp("chain") / "chain.onnx"
    onnx.save(onnx.parser.parse_model(f"{header} {{ {nodes} }}"), path)
    return path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("moment", "later_s"),
    [("out/.out.npuc-partial-*", 0.0), ("cache/steps/.building-*/files/.worker-*", 0.2)],
    ids=["start", "code generation"],
)
def test_any_moment_of_a_compile(tmp_path, chain, moment, later_s, number, code):
    out, cache = tmp_path / "out" / "out", tmp_path / "cache"
    command = ("compile", chain, "--device", "vivo-x200", "-o", out)
    running = Running(*command, cache=cache)
    running.wait_until(lambda: list(tmp_path.glob(moment)))
    time.sleep(later_s)
    ended, seconds, written = running.end(number)
    assert ended == code, written
    assert seconds < LONGEST_S
    assert list(out.parent.iterdir()) == []
    assert list(cache.glob("steps/.building-*")) == []


def test_an_interrupted_compile_resumes(tmp_path, chain):
    out, cache = tmp_path / "out", tmp_path / "cache"
    command = ("compile", chain, "--device", "vivo-x200", "-o", out)
    running = Running(*command, cache=cache)
    running.wait_until(lambda: list(cache.glob("steps/.building-*/files/.worker-*")))
    assert running.end(signal.SIGTERM)[0] == 143
    again = Running(*command, cache=cache)
    assert again.process.wait(timeout=200) == 0
    assert (out / "manifest.json").exists()
