"""A group whose commands are imported when they are called, so that the others' libraries are not waited for."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import click


class LazyCommand(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        place: Module and name of the click command in it, `npuc.commands.run:run_command`.
        short_help: Its line in the help of the group.
    """

    place: str
    short_help: str


class LazyGroup(click.Group):
    """Imports a command's module when the command is looked up; its own help needs none of them.

    Args:
        places: Name of a command → where it is.
        settings: As for `click.Group`.
    """

    def __init__(self, *, places: Mapping[str, LazyCommand], **settings: Any) -> None:
        super().__init__(**settings)
        self._places = dict(places)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (signature of click)
        """Returns the names of all commands, sorted."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports a command; None where there is none of this name."""
        if cmd_name not in self._places:
            return None
        return cast(click.Command, pkgutil.resolve_name(self._places[cmd_name].place))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the names with their lines, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._places[name].short_help) for name in self.list_commands(ctx)])
