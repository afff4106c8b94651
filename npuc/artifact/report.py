"""The report of a compile: one HTML file without scripts or outside references, made from the manifest alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.filesize import decimal

from npuc.artifact.manifest import Manifest
from npuc.artifact.training_curves import read_curves
from npuc.compare.source.fidelity import fidelity_notes, fidelity_rows
from npuc.terminal.tables import amount, layer_label
from program.templating import html_templates

REPORT_NAME = "report.html"
_BAR_FULL_SCALE = 50.0  # dB that fill a bar: beyond it FP8 differences are invisible in any task


def write_report(manifest: Manifest, folder: Path) -> None:
    """Writes `report.html`.

    Args:
        manifest: What is reported.
        folder: Of the artifact.
    """
    environment = html_templates("npuc", "templates")
    environment.filters |= {
        "size": lambda value: decimal(int(value)),
        "amount": amount,
        "bar": _bar_percent,
        "layer": layer_label,
    }
    counts = Counter(
        (layer.modality, layer.format) for component in manifest.components for layer in component.layers
    )
    text = environment.get_template("report.html.j2").render(
        manifest=manifest,
        fidelity=fidelity_rows(manifest),
        fidelity_notes=fidelity_notes(manifest),
        layer_counts=sorted(counts.items()),
        policies=_policies(manifest),
        notes=sorted({s.note for component in manifest.components for s in component.segments}),
        curves=read_curves(folder),
    )
    (folder / REPORT_NAME).write_text(text, "utf-8")


def _bar_percent(decibels: float) -> int:
    return round(100 * max(0.0, min(decibels, _BAR_FULL_SCALE)) / _BAR_FULL_SCALE)


def _policies(manifest: Manifest) -> dict[str, str]:
    merged: dict[str, str] = {}
    for component in manifest.components:
        for segment in component.segments:
            merged.update(segment.policy)
    return dict(sorted(merged.items()))
