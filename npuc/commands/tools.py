"""`npuc tools`: vendors' compilers, which the user installs and npuc never contains."""

from __future__ import annotations

import click

from npuc.terminal.console import open_console
from npuc.terminal.terminal import text_table
from targets.tools.environment import ToolEnvironment
from targets.tools.install import install_tool
from targets.tools.tool import find_tool, tool_names

_TOOL = click.argument("tool", type=click.Choice(tool_names()))


@click.group("tools")
def tools_group() -> None:
    """Installs, lists and removes vendors' NPU compilers."""


@tools_group.command("install", short_help="Install a tool from its hash-pinned lock.")
@_TOOL
@click.option("--accept-licence", is_flag=True, help="You have read and accept the tool's licence.")
def install_command(tool: str, accept_licence: bool) -> None:
    """Installs TOOL into npuc's cache folder, in a Python environment of its own."""
    environment = ToolEnvironment(find_tool(tool))
    console = open_console()
    with console.status(f"installing {tool}"):
        install_tool(environment, accept_licence)
    licence = environment.tool.licence
    console.print(f"{environment.tool.package} {environment.tool.version} is installed", highlight=False)
    console.print(f"  in:      {environment.path}", highlight=False, soft_wrap=True)
    if licence is not None:
        console.print(f"  licence: {licence.name}, accepted by you", highlight=False)


@tools_group.command("list", short_help="Say which tools there are and which are installed.")
def list_command() -> None:
    """Lists every tool with its version, its licence and its state."""
    table = text_table()
    for column in ("tool", "package", "licence", "state", "to do"):
        table.add_column(column, overflow="fold")
    for tool in map(find_tool, tool_names()):
        environment = ToolEnvironment(tool)
        state = _state(environment)
        to_do = "" if state == "installed" else tool.install_command
        table.add_row(
            tool.name,
            f"{tool.package} {tool.version}",
            tool.licence.name if tool.licence else "open source",
            state,
            to_do,
        )
    open_console().print(table)


@tools_group.command("remove", short_help="Remove an installed tool.")
@_TOOL
def remove_command(tool: str) -> None:
    """Removes TOOL and the record of its licence."""
    removed = ToolEnvironment(find_tool(tool)).remove()
    click.echo(f"{tool} is removed" if removed else f"{tool} was not installed")


def _state(environment: ToolEnvironment) -> str:
    record = environment.record()
    if record is None:
        return "not installed"
    return "installed" if environment.is_current() else f"version {record.get('version', 'unknown')}"
