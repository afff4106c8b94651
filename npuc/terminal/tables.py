"""Tables shown on the terminal, from manifest records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from npuc.artifact.manifest import Agreement, Manifest
from npuc.compare.source.fidelity import ACCEPTED, FAILED, LOST, FidelityRow, fidelity_notes, fidelity_rows
from npuc.terminal.terminal import printable, text_table

if TYPE_CHECKING:
    from npuc.compare.source.verify_source import SourceComparison


_TEXT_COLUMNS = frozenset(
    {
        "artifact",
        "basis",
        "KV cache",
        "bound",
        "component",
        "format",
        "formats",
        "modality",
        "on",
        "source",
        "where",
        "why",
    }
)
_FIDELITY_COLOURS = {"": "green", ACCEPTED: "yellow", LOST: "red", FAILED: "red"}
_VERDICT_COLOURS = {"met": "green", "possible": "yellow", "not met": "red"}


def _table(title: str, *columns: str) -> Table:
    table = text_table(title)
    for index, column in enumerate(columns):
        is_text = index == 0 or column in _TEXT_COLUMNS
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    return table


def summary_lines(manifest: Manifest) -> list[str]:
    """Returns source, device, code and recipe, one line each."""
    device = manifest.device
    return [
        f"model    {manifest.source['source']} (family {manifest.family})",
        f"device   {device.name}: {device.soc}, tier {device.tier}, target {device.target}",
        *([f"also     {', '.join(device.also)}"] if device.also else []),
        f"code     {', '.join(sorted({s.triple for c in manifest.components for s in c.segments}))}",
        f"recipe   {manifest.recipe['name']}, npuc {manifest.npuc_version}",
    ]


def component_table(manifest: Manifest) -> Table:
    """Returns one row a component and processor: sizes, and how its formats are computed."""
    table = _table("components", "component", "on", "weights", "arena", "code", "kernels", "formats")
    for component in manifest.components:
        for segment in component.segments:
            policy = ", ".join(f"{name} {how}" for name, how in sorted(segment.policy.items()))
            sizes = (
                decimal(size) for size in (segment.weight_bytes, segment.arena_bytes, segment.code_bytes)
            )
            table.add_row(segment.name, segment.processor, *sizes, str(segment.kernels), policy)
    return table


def layer_label(weight: str) -> str:
    """Returns a layer's name for people: its weight's name without the endings that every weight has."""
    for suffix in (".transposed", ".matrix", ".weight"):
        weight = weight.removesuffix(suffix)
    return weight


def precision_table(manifest: Manifest, *, layers: bool = False) -> Table:
    """Returns how many layers of each modality use which format, or every layer with its reason."""
    if layers:
        table = _table("precision of every layer", "layer", "component", "modality", "format", "why")
        for component in manifest.components:
            for layer in component.layers:
                table.add_row(
                    layer_label(layer.weight), component.name, layer.modality, layer.format, layer.reason
                )
        return table
    table = _table("precision", "modality", "format", "layers")
    counts = Counter(
        (layer.modality, layer.format) for component in manifest.components for layer in component.layers
    )
    for (modality, name), count in sorted(counts.items()):
        table.add_row(modality, name, str(count))
    return table


def format_error_table(manifest: Manifest) -> Table:
    """Returns the output error of both FP8 formats, side by side for each modality."""
    table = _table(
        "output error of FP8, by modality", "modality", "format", "layers", "mean SQNR", "worst", "where"
    )
    for row in manifest.format_errors:
        table.add_row(
            row.modality,
            row.format,
            str(row.layers),
            f"{row.mean_sqnr:.1f} dB",
            f"{row.worst_sqnr:.1f} dB",
            layer_label(row.worst_layer),
        )
    return table


def npu_table(manifest: Manifest) -> Table:
    """Returns what was changed for the NPU: number format, bytes of weights, and the effect on the outputs."""
    table = _table(
        "changed for the NPU", "component", "on", "scheme", "weights before", "weights", "SQNR", "why"
    )
    for component in manifest.components:
        npu = component.npu
        if npu is None:
            table.add_row(component.name, "cpu", "as prepared", "", "", "", "")
            continue
        sqnr = "exact" if npu.sqnr is None else f"{npu.sqnr:.1f} dB"
        before, after = decimal(npu.weight_bytes_before), decimal(npu.weight_bytes)
        table.add_row(component.name, npu.processor, npu.scheme, before, after, sqnr, npu.reason)
    return table


def agreement_table(agreements: Mapping[str, Agreement]) -> Table:
    """Returns how far each binary is from its reference."""
    title = "agreement of the binaries with the reference"
    table = _table(title, "component", "samples", "relative error", "SQNR", "bound", "")
    for name, agreement in agreements.items():
        if not agreement.executed:
            table.add_row(name, "0", "", "", str(agreement.bound), Text("not executed", "yellow"))
            continue
        table.add_row(
            name,
            str(agreement.samples),
            f"{agreement.max_relative_error:.2e}",
            "exact" if agreement.sqnr is None else f"{agreement.sqnr:.1f} dB",
            str(agreement.bound),
            Text("ok", "green") if agreement.passed else Text("FAILED", "red"),
        )
    return table


def fidelity_table(rows: Sequence[FidelityRow], title: str = "from the model to the binary") -> Table:
    """Returns how far each step from the user's model to the binary is from the one before it or from the model."""
    table = _table(title, "component", "source", "rewritten", "final", "decisions", "binary", "")
    for row in rows:
        mark = Text(row.verdict or "ok", _FIDELITY_COLOURS[row.verdict])
        cells = (row.component, row.source, row.rewritten, row.final, row.decisions, row.binary)
        table.add_row(*cells, mark)
    return table


def print_agreement(console: Console, manifest: Manifest) -> None:
    """Prints the agreement recorded in a manifest, and once each how binaries were executed or why not."""
    segments = {segment.name: segment for component in manifest.components for segment in component.segments}
    console.print(agreement_table({name: segment.agreement for name, segment in segments.items()}))
    console.print(fidelity_table(fidelity_rows(manifest)))
    for note in fidelity_notes(manifest):
        console.print(note, highlight=False, markup=False)
    for note in (*manifest.notes, *sorted({segment.note for segment in segments.values()})):
        console.print(note, style="dim", highlight=False)


def subnetwork_table(manifest: Manifest, seconds: Mapping[str, float] | None = None) -> Table:
    """Returns one row a sub-network: what it takes, and what it answers.

    Args:
        manifest: Of the artifact.
        seconds: Sub-network → measured time of one call of each component, emulated on this machine.
    """
    columns = ["sub-network", "operations", "share", "weights read", "accuracy", "KV cache"]
    table = _table("sub-networks", *columns, *(["emulated"] if seconds else []))
    for network in manifest.subnetworks:
        accuracy = "" if network.accuracy is None else f"{network.accuracy:.1%} of {network.test_requests}"
        cells = [
            network.name,
            f"{network.operations / 1e6:,.1f} M",
            f"{network.operations_share:.1%}",
            decimal(network.bytes_touched),
            accuracy,
            network.cache.split(":")[0],
        ]
        table.add_row(*cells, *([amount(seconds[network.name], "s")] if seconds else []))
    return table


def budget_table(manifest: Manifest) -> Table:
    """Returns what the artifact takes or reaches beside what the device's budgets allow."""
    table = _table("budgets", "what", "value", "limit", "", "basis")
    for budget in manifest.budgets:
        mark = Text(budget.verdict, _VERDICT_COLOURS[budget.verdict])
        limit = f"{budget.relation} {amount(budget.limit, budget.unit)}"
        table.add_row(budget.name, amount(budget.value, budget.unit), limit, mark, budget.basis)
    return table


def amount(value: float, unit: str) -> str:
    """Returns a figure with its unit, scaled to be read: bytes as kB, MB, GB; seconds as ms, µs."""
    if unit == "B":
        return decimal(int(value))
    if unit == "s" and value < 1:
        return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def answer_table(comparison: SourceComparison) -> Table:
    """Returns what the source model and the artifact answer to the same requests."""
    answers = _table("against the source model: answers", "request", "source", "artifact", "")
    for row in comparison.rows:
        mark = Text("same", "green") if row.same else Text("differs", "yellow")
        answers.add_row(row.prompt, printable(row.source), printable(row.artifact), mark)
    return answers
