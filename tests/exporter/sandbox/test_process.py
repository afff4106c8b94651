"""A child process ends what a stranger's file sets off, and says it in one line."""

import os
import socket
import time
from pathlib import Path

import pytest

from exporter.errors import ExportError, SourceError
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import SandboxProcess, call_once

FUNCTIONS = "tests.exporter.sandbox.functions"
SMALL = Limits(memory=256 << 20, seconds=2, wall_seconds=10)


def call(name, content=b"", limits=SMALL, **arguments):
    return call_once(
        f"{FUNCTIONS}:{name}", content, limits=limits, what="reading it", where="m.onnx", **arguments
    )


def test_plain_data_goes_there_and_back():
    assert call("echo", b"\0\xff") == b"\0\xff"
    assert call("echo", a=[1, "\ud800"], b=None) == {"a": [1, "\ud800"], "b": None}


def test_a_process_keeps_its_state_between_calls():
    with SandboxProcess(SMALL, what="", where="") as process:
        assert [process.call(f"{FUNCTIONS}:remember") for _ in range(3)] == [1, 2, 3]


def test_an_error_arrives_as_it_was_raised():
    with pytest.raises(ExportError) as caught:
        call("refuse")
    assert type(caught.value) is ExportError
    assert str(caught.value) == str(ExportError("no", where="a file", received="one\ntwo", remedy="stop"))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("fail", {}, "KeyError: 'absent'"),
        ("allocate", {"size": 1 << 30}, "more than 256 MiB of memory"),
        ("abort", {}, "SIGABRT"),
        ("loop", {}, "longer than 2 seconds"),
    ],
)
def test_each_end_is_one_message_with_the_file(name, arguments, said):
    with pytest.raises(SourceError, match=said) as caught:
        call(name, **arguments)
    assert caught.value.where == "m.onnx" and caught.value.what.startswith("reading it")


def test_a_call_that_waits_ends_after_its_time():
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"longer than 0\.5 seconds"):
        call("sleep", limits=Limits(wall_seconds=0.5), seconds=60)
    assert time.monotonic() - start < 10


def test_a_child_writes_no_file_unless_it_may(tmp_path):
    path = tmp_path / "written"
    with pytest.raises(SourceError, match="File too large"):
        call("write", b"text", path=str(path))
    call("write", b"text", Limits(file_bytes=4), path=str(path))
    assert path.read_bytes() == b"text"


def test_a_child_has_no_network():
    from exporter.sandbox.isolation_check import network_refusal

    if network_refusal():
        pytest.skip(network_refusal())
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(SourceError, match="unreachable"):
        call("connect", port=server.getsockname()[1])


def test_a_child_opens_few_files():
    assert call("limit") == SMALL.open_files


def test_a_child_ends_with_the_object_that_owns_it():
    process = SandboxProcess(SMALL, what="", where="")
    pid = process._process.pid
    process.call(f"{FUNCTIONS}:echo", a=1)
    del process
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_child_starts_without_what_the_parent_has_imported():
    with SandboxProcess(SMALL, what="", where="") as process:
        process.call(f"{FUNCTIONS}:echo", a=1)
        maps = Path(f"/proc/{process._process.pid}/maps")
        if not maps.exists():
            pytest.skip("no /proc")
        assert not any(name in maps.read_text() for name in ("torch", "numpy", "onnx"))
