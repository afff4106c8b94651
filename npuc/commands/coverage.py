"""`npuc coverage`: where each node of a model would run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from exporter.sources.examine import examine_source
from exporter.sources.locate import require_model
from npuc.commands.options import input_shape_option, memory_limit_option
from npuc.machine.memory_limit import memory_bound
from npuc.settings.input_shapes import parse_input_shapes
from npuc.terminal.console import open_console
from npuc.terminal.progress import ConsoleReporter


@click.command("coverage")
@click.argument("model")
@click.option("--device", required=True, help="Device id (see `npuc devices`), or a TOML file.")
@click.option("--recipe", type=click.Path(path_type=Path), help="Recipe file instead of the tier's.")
@click.option("--npu", metavar="FORMAT", help="What the NPU computes in.")
@input_shape_option
@memory_limit_option
@click.option("--json", "as_json", is_flag=True, help="Print every node with reason and remedy.")
def coverage_command(
    model: str,
    device: str,
    recipe: Path | None,
    npu: str | None,
    input_shapes: tuple[str, ...],
    memory_limit: str | None,
    as_json: bool,
) -> int:
    """Places each node of MODEL on a processor of a device, or refuses it, with the reason and what to do.

    Nothing is compiled, and no vendor tool is needed. Exit code 3 where a node runs nowhere.
    """
    from npuc.api import job_settings

    chosen, settings = job_settings(device, recipe, npu, parse_input_shapes(input_shapes))
    require_model(model)
    console = open_console(stderr=True)
    with memory_bound(memory_limit, examine_source(model)):
        # what is wrong with the command line or the model is said before graph libraries are imported
        from npuc.caching.cache import Cache
        from npuc.coverage import model_coverage

        coverages = model_coverage(model, chosen, settings, ConsoleReporter(console), Cache())
    from npuc.terminal.coverage_table import coverage_json, coverage_table

    if as_json:
        click.echo(json.dumps(coverage_json(coverages), indent=1))
    else:
        open_console().print(coverage_table(coverages))
    return 3 if any(coverage.refused for coverage in coverages) else 0
