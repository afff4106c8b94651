"""A session with a stand-in for a tool: a Python script."""

import json
import sys

import pytest

from targets.errors import ToolError
from targets.tools.environment import ToolEnvironment
from targets.tools.process import JobError
from targets.tools.session import ToolSession
from targets.tools.tool import find_tool

SCRIPT = """
import os, sys, time
def send(status, content):
    sys.stdout.buffer.write(bytes([status]) + len(content).to_bytes(8, "little") + content)
    sys.stdout.buffer.flush()
if os.path.exists("refuse"):
    send(1, b"not this model")
else:
    send(0, b"")
while header := sys.stdin.buffer.read(8):
    message = sys.stdin.buffer.read(int.from_bytes(header, "little"))
    if message == b"crash":
        os.abort()
    if message == b"hang":
        time.sleep(60)
    send(0, message[::-1])
"""


@pytest.fixture
def environment(tmp_path):
    tool = find_tool("snapdragon")
    python = tmp_path / "tools" / tool.name / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    record = tmp_path / "tools" / tool.name / "installed.json"
    record.write_text(json.dumps({"lock_sha256": tool.lock_digest()}))
    return ToolEnvironment(tool, tmp_path / "tools")


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def start(environment, jobs, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(*, refuse=False, seconds=20.0):
        return ToolSession(
            environment,
            script,
            {"action": "serve"},
            prepare=lambda folder: (folder / "refuse").write_text("") if refuse else None,
            seconds=seconds,
            on_failure=lambda folder, message: (folder / "message").write_bytes(message) and None,
        )

    return start


def test_one_process_answers_many_messages_and_leaves_nothing(start, jobs):
    with start() as session:
        assert session.call(b"abc") == b"cba"
        assert session.call(bytes(1 << 20)) == bytes(1 << 20)
        assert session.call(b"") == b""
    assert list(jobs.iterdir()) == []


def test_a_refusal_at_the_start_is_told(start, jobs):
    with pytest.raises(JobError, match="not this model"):
        start(refuse=True)
    (folder,) = jobs.iterdir()
    assert (folder / "job.py").exists()


@pytest.mark.parametrize(("message", "text"), [(b"crash", "SIGABRT"), (b"hang", r"longer than 2 s")])
def test_a_crash_and_a_hang_keep_the_message(start, jobs, message, text):
    session = start(seconds=2.0)
    with pytest.raises(JobError, match=text) as caught:
        session.call(message)
    (folder,) = jobs.iterdir()
    assert str(folder) in str(caught.value)
    assert (folder / "message").read_bytes() == message
    with pytest.raises(JobError, match="has ended"):
        session.call(b"again")
    session.close()
    assert folder.exists()


def test_without_the_tool_the_command_is_named(tmp_path, jobs):
    absent = ToolEnvironment(find_tool("snapdragon"), tmp_path / "none")
    with pytest.raises(ToolError, match="npuc tools install snapdragon"):
        ToolSession(
            absent, tmp_path, {}, prepare=lambda _: None, seconds=1, on_failure=lambda _folder, _message: None
        )
    assert list(jobs.iterdir()) == []
