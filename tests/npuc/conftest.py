import dataclasses
import os

import pytest

from npuc.cli import run


@dataclasses.dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def npuc(capfd, monkeypatch, tmp_path_factory):
    """Runs the command line in this process: `npuc("devices", "--json")`."""
    monkeypatch.setenv("COLUMNS", "200")
    if "NPUC_CACHE" not in os.environ:
        monkeypatch.setenv("NPUC_CACHE", str(tmp_path_factory.getbasetemp() / "npuc-cache"))

    def invoke(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return invoke
