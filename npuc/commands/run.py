"""`npuc run`: asks an artifact something, in emulation."""

from __future__ import annotations

from pathlib import Path

import click

from npuc.artifact.manifest import read_manifest
from npuc.artifact.power import FULL
from npuc.errors import UsageError
from npuc.terminal.terminal import printable


@click.command("run")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), help="Picture to ask about (PNG, JPEG …).")
@click.option(
    "--audio", type=click.Path(path_type=Path), help="Sound to listen to (PCM WAV, any sample rate)."
)
@click.option("--prompt", default="", help="Question, in words.")
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=FILE.npy", help="Raw input tensor; repeatable."
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="With --input: folder to write the output tensors to, as .npy files.",
)
@click.option(
    "--max-new-tokens",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1 << 16),
    help="Longest answer, in tokens.",
)
@click.option("--reference", is_flag=True, help="Run the reference graphs instead of the binaries.")
@click.option(
    "--power",
    default=FULL,
    show_default=True,
    metavar="NAME[:TOKENS],…",
    help="Sub-network to run, or several in turn: `full:4,low_power` switches after four tokens.",
)
def run_command(
    artifact: Path,
    image: Path | None,
    audio: Path | None,
    prompt: str,
    inputs: tuple[str, ...],
    save: Path | None,
    max_new_tokens: int,
    reference: bool,
    power: str,
) -> None:
    """Runs the binaries of ARTIFACT in emulation and prints the answer as it is generated."""
    read_manifest(artifact)  # refuses what is no artifact before the libraries of emulators are waited for
    from npuc.artifact.artifact import Artifact
    from npuc.artifact.requests import make_request
    from npuc.terminal.tensor_report import report_tensors

    request = make_request(prompt=prompt, image=image, audio=audio, tensors=_tensor_paths(inputs))
    opened = Artifact(artifact)
    with opened.executors(reference=reference, power=power) as executors:
        runner = opened.runner(power)
        if request.tensors or opened.manifest.family == "generic":
            report_tensors(runner.generate(executors, request, max_new_tokens).tensors, save)
            return
        for piece in runner.stream(executors, request, max_new_tokens):
            click.echo(printable(piece), nl=False)
        click.echo()


def _tensor_paths(inputs: tuple[str, ...]) -> dict[str, Path]:
    paths = {}
    for item in inputs:
        parts = item.split("=")
        splits = [("=".join(parts[:at]), "=".join(parts[at:])) for at in range(1, len(parts))]
        usable = [(name, path) for name, path in splits if name and path]
        if not usable:
            raise UsageError("--input takes NAME=FILE.npy", received=item)
        # names of a model may hold a "=" too: where they do, the file tells where the name ends
        name, path = next((split for split in usable if Path(split[1]).is_file()), usable[0])
        paths[name] = Path(path)
    return paths
