"""`npuc compile`: from a model to a verified artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from npuc.commands.options import input_shape_option, memory_limit_option
from npuc.settings.input_shapes import parse_input_shapes
from npuc.settings.training_settings import parse_assignments
from npuc.terminal.console import open_console
from npuc.terminal.progress import ConsoleReporter, ProgressReporter, SilentReporter
from targets.contract.registry import target_names
from targets.devices.device import TIERS

if TYPE_CHECKING:
    from rich.console import Console

    from npuc.artifact.artifact import Artifact


@click.command("compile")
@click.argument("model")
@click.option("--device", help="Device id (see `npuc devices`), or a TOML file with a device of your own.")
@click.option("--tier", type=click.Choice(TIERS), help="Recipe to use instead of the device's own.")
@click.option(
    "--target", type=click.Choice(target_names()), help="With --tier: picks that tier's default device."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the artifact."
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="Recipe file instead of the tier's; `extends = \"high\"` in it keeps that tier's other settings.",
)
@click.option(
    "--npu",
    metavar="FORMAT",
    help="What the NPU computes in, instead of the recipe's word: `auto`, `cpu` (without NPU), or a format of its own"
    " such as `float16` and `a16w8`.",
)
@click.option(
    "--also-device",
    "also_devices",
    multiple=True,
    metavar="ID",
    help="Device whose chip the NPU binaries also have code for; repeatable.",
)
@input_shape_option
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Recorded inputs of an .onnx, .pt2 or Python model: an .npz file, or a folder of them.",
)
@click.option(
    "--qat",
    metavar="KEY=VALUE,…",
    help="Fine-tune after quantisation: `steps=200`, with other keys of the recipe's section [qat].",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Training data of mid, low and --qat: a manifest (JSON Lines).",
)
@click.option(
    "--dump-ir", type=click.Path(path_type=Path), help="Folder for the graph after each pass, with times."
)
@click.option(
    "--accept-precision-loss",
    is_flag=True,
    help="Write the artifact even if its number formats lose more than the recipe's [gates] allow; it says so.",
)
@memory_limit_option
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def compile_command(
    model: str,
    device: str | None,
    tier: str | None,
    target: str | None,
    output: Path,
    recipe: Path | None,
    npu: str | None,
    also_devices: tuple[str, ...],
    input_shapes: tuple[str, ...],
    calibration: Path | None,
    qat: str | None,
    data: Path | None,
    dump_ir: Path | None,
    accept_precision_loss: bool,
    memory_limit: str | None,
    quiet: bool,
) -> None:
    """Compiles MODEL for a device and executes the result before it is written.

    MODEL is `demo` (the bundled trained model), a Hugging Face folder, `file.py:function` (returns a torch module and
    example inputs), a `.pt2` file or an `.onnx` file.
    """
    from npuc.api import compile_model

    console = open_console(stderr=True)
    reporter: ProgressReporter = SilentReporter() if quiet else ConsoleReporter(console)
    artifact = compile_model(
        model,
        device=device,
        tier=tier,
        target=target,
        out=output,
        recipe=recipe,
        npu=npu,
        also_devices=also_devices,
        input_shapes=parse_input_shapes(input_shapes),
        calibration=calibration,
        qat=None if qat is None else parse_assignments(qat),
        data=data,
        dump_ir=dump_ir,
        accept_precision_loss=accept_precision_loss,
        memory_limit=memory_limit,
        reporter=reporter,
    )
    if not quiet:
        _print_result(console, artifact, output)


def _print_result(console: Console, artifact: Artifact, output: Path) -> None:
    from npuc.terminal.tables import format_error_table, npu_table, print_agreement, subnetwork_table
    from program.number_format import FP8_FORMATS

    manifest = artifact.manifest
    formats = {layer.format for component in manifest.components for layer in component.layers}
    if manifest.format_errors and formats & set(FP8_FORMATS):
        console.print(format_error_table(manifest))
    if any(component.npu for component in manifest.components):
        console.print(npu_table(manifest))
    print_agreement(console, manifest)
    if len(manifest.subnetworks) > 1:
        console.print(subnetwork_table(manifest))
    console.print(
        f"{output}: {manifest.device.name}, every figure in {output / 'report.html'}", highlight=False
    )
