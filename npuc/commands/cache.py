"""`npuc cache`: what finished and unfinished steps take on the disk."""

from __future__ import annotations

import click
from rich.filesize import decimal
from rich.table import Table

from npuc.caching.entries import CacheEntry, EntryKind, cache_entries, remove_entries
from npuc.terminal.console import open_console
from npuc.terminal.terminal import text_table
from program.cache_folder import default_cache

_KEY_CHARACTERS = 12


@click.group("cache")
def cache_group() -> None:
    """Lists and removes the finished steps and the unfinished work that npuc keeps."""


@cache_group.command("list", short_help="Say what the cache holds.")
def list_command() -> None:
    """Lists every entry of the cache folder with its size, the one used last first."""
    entries = cache_entries(default_cache())
    console = open_console()
    if entries:
        console.print(_table(entries))
    console.print(f"{default_cache()}: {_summary(entries)}", highlight=False, soft_wrap=True)


@cache_group.command("prune", short_help="Remove what was not used for some days.")
@click.option(
    "--days",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Keep what was used during the last so many days.",
)
def prune_command(days: int) -> None:
    """Removes entries that were not used for some days, and whatever processes that died have left."""
    entries = cache_entries(default_cache())
    _remove([e for e in entries if e.kind is EntryKind.ABANDONED or e.idle_days >= days])


@cache_group.command("clear", short_help="Remove all finished steps and unfinished work.")
def clear_command() -> None:
    """Removes everything but vendors' tools, and but what a running process is making."""
    _remove(list(cache_entries(default_cache())))


def _remove(entries: list[CacheEntry]) -> None:
    freed = remove_entries(entries)
    count = sum(not entry.path.exists() for entry in entries)
    click.echo(f"{count} {'entry' if count == 1 else 'entries'} removed, {decimal(freed)} freed")


def _summary(entries: tuple[CacheEntry, ...]) -> str:
    count = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    return f"{count}, {decimal(sum(entry.nbytes for entry in entries))}"


def _table(entries: tuple[CacheEntry, ...]) -> Table:
    table = text_table()
    for column in ("entry", "kind", "size", "last used"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for entry in entries:
        days = int(entry.idle_days)
        used = "today" if days == 0 else "a day ago" if days == 1 else f"{days} days ago"
        name = entry.path.name[:_KEY_CHARACTERS]
        table.add_row(name, str(entry.kind), decimal(entry.nbytes), used)
    return table
