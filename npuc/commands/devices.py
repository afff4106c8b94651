"""`npuc devices`: the catalogue."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from npuc.terminal.console import open_console
from npuc.terminal.terminal import text_table
from targets.contract.registry import target_names
from targets.devices.catalogue import devices_of, find_device
from targets.devices.device import TIERS, Device
from targets.devices.device_table import device_rows, figures

_SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}

_FOOTNOTE = (
    "native: what the NPU computes in, or the CPU where the NPU takes none of them. RAM: budget for the model. "
    "npuc compiles for the CPU of every device, and for its NPU where there is a back end whose tool is installed. "
    "Every figure with its source: npuc devices ID"
)


@click.command("devices")
@click.argument("device", required=False)
@click.option("--tier", type=click.Choice(TIERS), help="Only this tier.")
@click.option("--target", type=click.Choice(target_names()), help="Only this target.")
@click.option("--json", "as_json", is_flag=True, help="Print the entries themselves.")
def devices_command(device: str | None, tier: str | None, target: str | None, as_json: bool) -> None:
    """Lists the device catalogue, or everything known about DEVICE with the source of each figure."""
    found = (find_device(device),) if device else devices_of(tier, target)  # type: ignore[arg-type]
    console = open_console()
    if as_json:
        click.echo(json.dumps([entry.model_dump(mode="json") for entry in found], indent=2))
    elif device:
        _print_device(console, found[0])
    else:
        console.print(_catalogue_table(found))
        console.print(_FOOTNOTE, style="dim")


def _catalogue_table(found: tuple[Device, ...]) -> Table:
    table = text_table()
    table.add_column("id", no_wrap=True)
    table.add_column("SoC", overflow="fold")
    for column in ("tier", "target", "native"):
        table.add_column(column, overflow="fold")
    table.add_column("RAM", justify="right", no_wrap=True)
    socs = {device.id: device.soc.name for device in found}
    for row in device_rows(found):
        native = " ".join(_SHORT.get(name, name) for name in row.native_formats)
        table.add_row(row.id, socs[row.id], row.tier, row.target, native, f"{row.ram_budget_gib:.2g} GiB")
    return table


def _print_device(console: Console, device: Device) -> None:
    console.print(f"{device.name} ({device.id})", style="bold", highlight=False)
    console.print(f"{device.soc.name}, tier {device.tier}, target {device.target}", highlight=False)
    if device.note:
        console.print(device.note, style="dim")
    table = text_table("figures")
    for column in ("figure", "value", "source"):
        table.add_column(column, overflow="fold")
    for key, figure in figures(device):
        unit = getattr(figure, "unit", "")
        table.add_row(key, f"{getattr(figure, 'value', '')} {unit}".strip(), figure.source)
    console.print(table)
    console.print(_format_table(device))


def _format_table(device: Device) -> Table:
    table = text_table("number formats")
    for column in ("format", "CPU", "NPU", "why (NPU)"):
        table.add_column(column, overflow="fold")
    for name in type(device.formats.npu).model_fields:
        cpu, npu = getattr(device.formats.cpu, name), getattr(device.formats.npu, name)
        table.add_row(
            name, _support(cpu.support, cpu.computes_in), _support(npu.support, npu.computes_in), npu.reason
        )
    return table


def _support(support: str, computes_in: str | None) -> str:
    return f"{support}, computed in {computes_in}" if computes_in else support
