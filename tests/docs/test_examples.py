"""What the pages show is what the program takes."""

import ast
import json
import shlex
import textwrap
import tomllib

import click
import pytest

from npuc.cli import cli
from npuc.settings.recipe_file import load_recipe
from program.errors import DiagnosticError
from targets.contract.registry import target_names
from targets.devices.catalogue import find_device, load_device
from tests.docs.conftest import ROOT, fenced, page_id


def shown_commands():
    for page, text in fenced("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            command = line.split("||")[0].strip()
            if command.startswith("npuc "):
                yield page, shlex.split(command, comments=True)[1:]


def parse(group, arguments):
    """Lets click parse a command line as far as its options, without running it."""
    name, *rest = arguments
    command = group.get_command(click.Context(group), name)
    if isinstance(command, click.Group):
        return parse(command, rest)
    # as the program does; a command keeps the help option of its first context, also for other tests
    context = command.make_context(name, list(rest), parent=click.Context(cli, **cli.context_settings))
    return context.params


@pytest.mark.parametrize(("page", "arguments"), shown_commands(), ids=page_id)
def test_every_command_parses(page, arguments):
    if arguments == ["--help"]:
        return
    params = parse(cli, arguments)
    if params.get("device") and not params["device"].endswith(".toml"):
        find_device(params["device"])


@pytest.mark.parametrize(("page", "text"), fenced("toml"), ids=page_id)
def test_every_toml_block_is_valid(page, text, tmp_path, monkeypatch):
    targets = (*target_names(), "x86")  # the tutorial's own
    monkeypatch.setattr("targets.devices.catalogue.target_names", lambda: targets)
    kind = text.partition("\n")[0]
    (tmp_path / "block.toml").write_text(text, "utf-8")
    if kind.startswith("# recipe:"):
        load_recipe(tmp_path / "block.toml")
    elif kind.startswith("# device:"):
        load_device(tmp_path / "block.toml")
    elif kind.startswith("# rules:"):
        assert tomllib.loads(text)["taken"]
    else:
        assert "project" in tomllib.loads(text), "say what the block is in its first line"


@pytest.mark.parametrize(("page", "text"), fenced("python"), ids=page_id)
def test_every_python_block_parses(page, text):
    ast.parse(textwrap.dedent(text))


@pytest.mark.parametrize(("page", "text"), fenced("json"), ids=page_id)
def test_every_json_block_parses(page, text):
    json.loads(text)


def subclasses(error):
    return {error, *(sub for child in error.__subclasses__() for sub in subclasses(child))}


def test_exit_codes_are_all_listed():
    text = (ROOT / "docs" / "exit-codes.md").read_text("utf-8")
    assert {error.exit_code for error in subclasses(DiagnosticError)} == {1, 2, 3, 4, 70}
    for code in (0, 1, 2, 3, 4, 70, 130, 141, 143):
        assert f"\n| {code} | " in text
