"""How wide tables may be."""

import io

import pytest
from rich.console import Console

from npuc.terminal.console import open_console


@pytest.mark.parametrize(("variables", "width"), [({}, 120), ({"COLUMNS": "61"}, 61)])
def test_a_pipe_has_120_columns_unless_the_environment_says_otherwise(monkeypatch, variables, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert open_console().width == width


def test_a_terminal_keeps_its_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(Console, "is_terminal", True)
    assert open_console().width == Console().width
