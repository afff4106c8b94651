"""Runs the pass on a model and prints what it decided: `python -m examples.add_a_pass.show model.onnx`."""

from __future__ import annotations

import argparse

import click

from examples.add_a_pass.replace_division import ReplaceDivision
from exporter.sources import open_source
from passes.core.run_passes import run_passes
from passes.pipeline import normalize


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Replace divisions by powers of two.")
    parser.add_argument("model", help="anything `npuc compile` takes")
    for component in open_source(parser.parse_args().model).components.values():
        normalize(component)
        for remark in run_passes(component, [ReplaceDivision()]):
            click.echo(f"{component.name} {remark.node}: {remark.what} ({remark.why})")


if __name__ == "__main__":
    main()
