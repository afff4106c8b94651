"""`npuc devices`: the catalogue."""

from __future__ import annotations

import click


@click.command("devices")
def devices_command() -> None:
    """Placeholder"""
