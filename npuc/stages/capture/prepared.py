"""A prepared program: what is kept of it beside its files, and how it is read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from npuc.artifact.manifest import FormatError, LayerRecord
from npuc.artifact.paths import ASSETS_FOLDER, MODEL_FOLDER
from npuc.compare.records import SourceRecord
from npuc.stages.learn.nested import Nested
from program.program import Component, Feeds, Modality, Program, Role

if TYPE_CHECKING:
    from npuc.stages.capture.quantize import Quantized


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A program ready for any device.

    Attributes:
        program: Final graphs; large weights are bound to the weights file. Narrowed components of sub-networks are
            components of their own.
        layers: Component name → format of each layer.
        format_errors: Output error of both FP8 formats by modality.
        subnetworks: The largest, the full program, first.
        sources: Component name → how far it is from the user's model.
        feeds: Component name → what the float program was fed by the calibration requests; None where it was not kept,
            or what was prepared came from the cache.
    """

    program: Program
    layers: dict[str, tuple[LayerRecord, ...]]
    format_errors: tuple[FormatError, ...]
    subnetworks: tuple[Nested, ...]
    sources: dict[str, SourceRecord]
    feeds: Mapping[str, Sequence[Feeds]] | None = None


def summarize(
    program: Program, quantized: Quantized, nested: Sequence[Nested], sources: Mapping[str, SourceRecord]
) -> dict[str, Any]:
    """Returns what `load_prepared` needs besides the files, as data for JSON."""
    return {
        "family": program.family,
        "settings": program.settings,
        "provenance": program.provenance,
        "drawn": program.drawn,
        "components": [
            {"name": component.name, "role": component.role.value, "modality": component.modality.value}
            for component in program.components.values()
        ],
        "layers": {
            name: [layer.model_dump() for layer in layers] for name, layers in quantized.layers.items()
        },
        "format_errors": [row.model_dump() for row in quantized.format_errors],
        "subnetworks": [dataclasses.asdict(network) for network in nested],
        "sources": {name: record.model_dump() for name, record in sources.items()},
    }


def load_prepared(summary: dict[str, Any], folder: Path) -> Prepared:
    """Reads a prepared program.

    Args:
        summary: From `summarize`.
        folder: Of the artifact.
    """
    components = {
        entry["name"]: Component(
            entry["name"],
            Role(entry["role"]),
            Modality(entry["modality"]),
            ir.load(folder / MODEL_FOLDER / f"{entry['name']}.onnx"),
        )
        for entry in summary["components"]
    }
    assets = {path.name: path.read_bytes() for path in sorted((folder / ASSETS_FOLDER).iterdir())}
    program = Program(
        summary["family"],
        components,
        summary["settings"],
        assets,
        (),
        summary["provenance"],
        drawn=summary["drawn"],
    )
    layers = {
        name: tuple(LayerRecord.model_validate(layer) for layer in entries)
        for name, entries in summary["layers"].items()
    }
    subnetworks = tuple(Nested(**entry) for entry in summary["subnetworks"])
    for network in subnetworks:
        layers |= {narrowed: layers[name] for name, narrowed in network.components.items()}
    return Prepared(
        program,
        layers,
        tuple(FormatError.model_validate(row) for row in summary["format_errors"]),
        subnetworks,
        {name: SourceRecord.model_validate(record) for name, record in summary["sources"].items()},
    )
