"""`npuc doctor`: says what this machine lacks and how to get it."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from npuc.doctor import Check, run_checks
from npuc.terminal.console import open_console
from npuc.terminal.terminal import text_table


@click.command("doctor")
def doctor_command() -> int:
    """Checks packages, emulators, vendors' tools, compiler, disk space. Exit code 4 where something is missing."""
    checks = run_checks()
    open_console().print(_table(checks))
    return 0 if all(check.ok for check in checks) else 4


def _table(checks: list[Check]) -> Table:
    table = text_table()
    for column in ("", "what", "found", "to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        state = Text("ok", "green") if check.ok else Text("missing", "red")
        table.add_row(state, check.name, check.found, check.remedy)
    return table
