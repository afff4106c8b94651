"""`npuc inspect`: shows what an artifact contains."""

from __future__ import annotations

from pathlib import Path

import click

from npuc.artifact.manifest import read_manifest
from npuc.terminal.console import open_console
from npuc.terminal.tables import (
    budget_table,
    component_table,
    format_error_table,
    npu_table,
    precision_table,
    print_agreement,
    summary_lines,
)


@click.command("inspect")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest itself.")
@click.option("--layers", is_flag=True, help="List the format of every layer, with the reason.")
def inspect_command(artifact: Path, as_json: bool, layers: bool) -> None:
    """Shows components, precision, measured agreement and budgets of ARTIFACT."""
    manifest = read_manifest(artifact)
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    console = open_console()
    for line in summary_lines(manifest):
        console.print(line, highlight=False)
    console.print(component_table(manifest))
    console.print(precision_table(manifest, layers=layers))
    if manifest.format_errors:
        console.print(format_error_table(manifest))
    if any(component.npu for component in manifest.components):
        console.print(npu_table(manifest))
    print_agreement(console, manifest)
    console.print(budget_table(manifest))
