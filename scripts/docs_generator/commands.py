"""Usage and options of every command, as click declares them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from docs_generator.markdown import page, table
from npuc.cli import cli


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yields every command with its full name, such as `recipe show`; groups themselves are left out."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        elif command is not None:
            yield prefix + name, command


def options_table(name: str) -> str:
    """Returns the usage line and the options of one command."""
    command = dict(commands())[name]
    settings = cli.context_settings
    context = click.Context(
        command, info_name=f"npuc {name}", help_option_names=settings["help_option_names"]
    )
    usage = " ".join(["npuc", name, *command.collect_usage_pieces(context)])
    options = [item for item in command.get_params(context) if isinstance(item, click.Option)]
    rows = [(_names(option, context), _meaning(option)) for option in options]
    return f"```text\n{usage}\n```\n\n{table(('option', 'meaning'), rows)}"


def commands_page() -> str:
    """Returns the page with the help and options of every command."""
    sections = [
        f"## npuc {name}\n\n{_help(command)}\n\n{options_table(name)}" for name, command in commands()
    ]
    return page("Commands", "Every command and option, as `npuc COMMAND --help` prints them.", sections)


def _names(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag or option.count else f"{names} `{option.make_metavar(context)}`"


def _meaning(option: click.Option) -> str:
    default = f"Default: {option.default}." if option.show_default else ""
    return " ".join([option.help or "", "Required." if option.required else "", default])


def _help(command: click.Command) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
