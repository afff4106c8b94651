"""Every layer gets its format, by modality or by measurement, and calibrated scales."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from npuc.artifact.feeds import cast_feeds
from npuc.artifact.manifest import FormatError, LayerRecord
from npuc.dump_ir import IrDump
from npuc.settings.recipe import Recipe
from npuc.terminal.progress import Advance
from passes.core.rewrite import modality_of
from passes.float.auto_precision import auto_remarks, choose_formats
from passes.float.calibration.calibrate import calibration_method, choose_scales
from passes.float.insert_fp8_qdq import quantised_inputs
from passes.float.layer_error import LayerError, measure_layers, modality_errors, observe_layers
from passes.float.precision import Override, PrecisionPolicy, weight_of
from passes.float.value_ranges import RangeWatcher, add_edges
from passes.float.widening import watcher_of, widenings
from passes.integer.quantised_graph import has_integer_weight, is_quantised
from passes.pipeline import quantize
from program.number_format import Format
from program.program import Component, Feeds, Modality, Program
from program.remark import Remark

LOSSLESS = 999.0
"""dB that stand for a layer without any error: JSON has no infinity."""


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What the stage decided.

    Attributes:
        layers: Component name → one record for each layer with weights.
        format_errors: Output error of both FP8 formats by modality.
        remarks: Component name → remarks of the passes; `auto` → measurements behind the choice.
    """

    layers: Mapping[str, tuple[LayerRecord, ...]]
    format_errors: tuple[FormatError, ...]
    remarks: Mapping[str, list[Remark]]


def precision_policy(recipe: Recipe) -> PrecisionPolicy:
    """Translates the recipe's section [precision]."""
    precision = recipe.precision

    def named(name: str) -> Format:
        return Format(precision.base if name == "base" else name)

    return PrecisionPolicy(
        base=named("base"),
        by_modality={modality: named(getattr(precision, modality.value)) for modality in Modality},
        overrides=tuple(Override(entry.pattern, named(entry.format)) for entry in precision.overrides),
    )


def quantize_program(
    program: Program, recipe: Recipe, feeds: Mapping[str, Sequence[Feeds]], advance: Advance, dump: IrDump
) -> Quantized:
    """Measures, calibrates and rewrites every component in place; those that come quantised stay as they are.

    Args:
        program: Normalised program.
        recipe: Sections [precision] and [calibration].
        feeds: From `record_feeds`.
        advance: Told once a component, twice over: after measuring and after rewriting.
        dump: Is shown the graph after each pass.
    """
    policy = precision_policy(recipe)
    method = calibration_method(recipe.calibration.method, recipe.calibration.percentile)
    errors: list[LayerError] = []
    statistics = {}
    watchers: dict[str, RangeWatcher] = {}
    plain = {name: part for name, part in program.components.items() if not is_quantised(part.model)}
    for name, component in plain.items():
        watcher = watcher_of(component) if policy.base is Format.FLOAT16 and feeds[name] else None
        statistics[name] = observe_layers(component.model, feeds[name], policy, watcher)
        if watcher is not None:
            watchers[name] = watcher
            add_edges(watcher.ranges, component.model, _edges(program, component))
        errors += measure_layers(component.model, statistics[name], policy, method)
        advance(1, 0)
    wide = widenings(plain, watchers)
    layers, remarks = {}, {}
    if recipe.precision.mode == "auto":
        measured = choose_formats(errors, recipe.precision.error_budget, policy.base)
        policy = dataclasses.replace(policy, measured=measured)
        remarks["auto"] = auto_remarks(errors, measured)
    for name, component in program.components.items():
        if name not in plain:
            layers[name] = _source_records(component)
            advance(2, 0)
            continue
        layers[name] = _layer_records(component, policy)
        scales = choose_scales(statistics[name], quantised_inputs(component.model, policy), method)
        remarks[name] = quantize(component, policy, scales, dump.observer(name), wide.get(name))
        advance(1, 0)
    return Quantized(layers, _format_errors(errors), remarks)


def _edges(program: Program, component: Component) -> list[Feeds]:
    """Returns inputs at the edge that have to stay finite; programs of several components have none."""
    if len(program.components) > 1:
        return []
    return [cast_feeds(edge.request.tensors, component.inputs) for edge in program.edges if edge.usual]


def _layer_records(component: Component, policy: PrecisionPolicy) -> tuple[LayerRecord, ...]:
    records = []
    for node in component.model.graph:
        weight = weight_of(node)
        if weight is None:
            continue
        choice = policy.format_of(node)
        record = LayerRecord(
            node=node.name or node.op_type,
            weight=weight.name or "",
            modality=modality_of(node),
            format=choice.format.value,
            reason=choice.reason,
        )
        records.append(record)
    return tuple(records)


def _source_records(component: Component) -> tuple[LayerRecord, ...]:
    """Returns the records of a component that comes quantised."""
    return tuple(
        LayerRecord(
            node=node.name or node.op_type,
            weight=_weight_name(node),
            modality=modality_of(node),
            format="int8",
            reason="quantised in the source",
        )
        for node in component.model.graph
        if has_integer_weight(node)
    )


def _weight_name(node: ir.Node) -> str:
    decoded = node.inputs[1].producer() if node.inputs[1] is not None else None
    codes = None if decoded is None else decoded.inputs[0]
    return "" if codes is None else codes.name or ""


def _format_errors(errors: list[LayerError]) -> tuple[FormatError, ...]:
    return tuple(
        FormatError(
            modality=row.modality,
            format=row.format.value,
            layers=row.layers,
            mean_sqnr=min(row.mean_sqnr, LOSSLESS),
            worst_sqnr=min(row.worst_sqnr, LOSSLESS),
            worst_layer=row.worst_layer,
        )
        for row in modality_errors(errors)
    )
