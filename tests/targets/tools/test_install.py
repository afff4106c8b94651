import dataclasses
import json
import platform
import subprocess
import sys

import pytest

from targets.errors import ToolError
from targets.tools import install
from targets.tools.environment import ToolEnvironment


@pytest.fixture
def here(empty, monkeypatch):
    """The environment as if this machine were one the tool supports."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    tool = dataclasses.replace(empty.tool, python=(sys.version_info.minor,))
    return ToolEnvironment(tool, empty.path.parent)


def _answers(monkeypatch, code=0, stderr=""):
    """Replaces venv and pip; returns the commands that would have run."""
    commands = []

    def run(command, **_):
        commands.append(command)
        failing = code if "pip" in command else 0
        if command[1:3] == ["-m", "venv"]:
            python = install.Path(command[3]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        return subprocess.CompletedProcess(command, failing, "", stderr)

    monkeypatch.setattr(install.subprocess, "run", run)
    return commands


def test_the_licence_must_be_accepted_and_nothing_is_run(here, monkeypatch):
    commands = _answers(monkeypatch)
    with pytest.raises(install.LicenceError, match="Qualcomm AI Stack License") as caught:
        install.install_tool(here, accept_licence=False)
    assert caught.value.exit_code == 2
    assert "--accept-licence" in caught.value.remedy
    assert commands == [] and not here.path.parent.exists()


def test_an_installation_is_recorded_without_dates(here, monkeypatch):
    commands = _answers(monkeypatch)
    install.install_tool(here, accept_licence=True)
    record = json.loads((here.path / "installed.json").read_text())
    assert record["licence"] == {
        "accepted": True,
        "file": "onnxruntime_qnn/Qualcomm_LICENSE.pdf",
        "name": "Qualcomm AI Stack License",
    }
    assert set(record) == {"tool", "package", "version", "lock_sha256", "python", "licence"}
    assert here.require() == here.python
    assert "--require-hashes" in commands[1] and "--no-deps" in commands[1]
    assert [entry.name for entry in here.path.parent.iterdir()] == ["snapdragon"]


def test_a_current_installation_is_left_alone(here, monkeypatch):
    commands = _answers(monkeypatch)
    install.install_tool(here, accept_licence=True)
    install.install_tool(here, accept_licence=True)
    assert len(commands) == 2


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("WARNING: x\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n  Got abc", "tested with(.|\n)*Got abc"),
        ("ERROR: No matching distribution", "cannot be installed(.|\n)*No matching distribution"),
    ],
)
def test_a_failed_installation_leaves_the_previous_state(here, monkeypatch, stderr, message):
    here.path.mkdir(parents=True)
    (here.path / "old").write_text("kept")
    _answers(monkeypatch, code=1, stderr=stderr)
    with pytest.raises(ToolError, match=message):
        install.install_tool(here, accept_licence=True)
    assert (here.path / "old").read_text() == "kept"
    assert [entry.name for entry in here.path.parent.iterdir()] == ["snapdragon"]


def test_a_machine_without_packages_is_refused(here, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(ToolError, match="Linux aarch64"):
        install.install_tool(here, accept_licence=True)


def test_a_python_without_packages_is_refused(here):
    environment = ToolEnvironment(dataclasses.replace(here.tool, python=(99,)), here.path.parent)
    with pytest.raises(ToolError, match=r"run npuc with Python 3\.99"):
        install.install_tool(environment, accept_licence=True)


def test_a_folder_that_cannot_be_written(here, monkeypatch):
    _answers(monkeypatch)
    here.path.parent.write_text("a file, not a folder")
    with pytest.raises(ToolError, match="NPUC_CACHE"):
        install.install_tool(here, accept_licence=True)


def test_leftovers_of_a_killed_installation_are_removed(here, monkeypatch):
    _answers(monkeypatch)
    killed = here.path.parent / ".snapdragon-99999999-abc"
    running = here.path.parent / f".snapdragon-{install.os.getpid()}-abc"
    killed.mkdir(parents=True)
    running.mkdir()
    install.install_tool(here, accept_licence=True)
    assert not killed.exists()
    assert running.exists()
