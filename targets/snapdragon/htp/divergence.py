"""Finds the first operator at which HTP leaves the reference: every intermediate value is compared."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.convenience import extract

from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from program.program import Feeds
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.htp.session import HtpSession
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.process import JobError

_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
_MODEL = "model.onnx"


@dataclasses.dataclass(frozen=True)
class Divergence:
    """Where a graph on HTP first leaves the reference.

    Attributes:
        node: Name of the node.
        op_type: Its operator.
        sqnr: Signal-to-noise ratio of its result, dB.
    """

    node: str
    op_type: str
    sqnr: float

    def __str__(self) -> str:
        return f"{self.op_type} {self.node}, {self.sqnr:.1f} dB"


@dataclasses.dataclass(frozen=True)
class _Probe:
    """A value that can be seen from outside, and the node that is answerable for it."""

    value: str
    node: ir.Node


def first_divergence(
    model: Path,
    soc: HtpSoc,
    feeds: Sequence[Feeds],
    min_sqnr: float,
    environment: ToolEnvironment | None = None,
) -> Divergence | None:
    """Prepares the graph with its intermediate values as outputs and compares them in order.

    Where the compiler does not take all of them as outputs, which may break its fusions, the graph is cut behind one
    value at a time, and the values are searched by halving.

    Args:
        model: ONNX file that HTP takes; its external data lies in the same folder.
        soc: The chip.
        feeds: Inputs, at least one set.
        min_sqnr: dB below which a value has diverged.
        environment: The installed tool; the user's by default.

    Returns:
        The first node in the graph's order whose result is below the limit; None where no value is.

    Raises:
        ToolError: The tool is not installed.
    """
    search = _Search(model, soc, feeds, environment)
    probes = _probes(ir.load(model).graph)
    try:
        ratios = search.compare([probe.value for probe in probes], whole=True)
        found = next((probe for probe in probes if ratios[probe.value] < min_sqnr), None)
        return None if found is None else _divergence(found, ratios[found.value])
    except JobError:
        return _halve(search, probes, min_sqnr)


def _halve(search: _Search, probes: list[_Probe], min_sqnr: float) -> Divergence | None:
    low, high, found = 0, len(probes), None
    while low < high:
        middle = (low + high) // 2
        value = probes[middle].value
        try:
            ratio = search.compare([value], whole=False)[value]
        except JobError:
            # a fusion was cut; this value cannot be seen
            del probes[middle]
            high -= 1
            continue
        if ratio < min_sqnr:
            found, high = _divergence(probes[middle], ratio), middle
        else:
            low = middle + 1
    return found


def _divergence(probe: _Probe, ratio: float) -> Divergence:
    name = probe.node.name or probe.value
    return Divergence(name, probe.node.op_type, ratio)


class _Search:
    def __init__(
        self, model: Path, soc: HtpSoc, feeds: Sequence[Feeds], environment: ToolEnvironment | None
    ) -> None:
        self._model, self._soc, self._feeds, self._environment = model, soc, feeds, environment

    def compare(self, names: list[str], *, whole: bool) -> dict[str, float]:
        """Returns the signal-to-noise ratio of values, of the whole graph or of what leads to them."""
        with tempfile.TemporaryDirectory(prefix="npuc-divergence-") as name:
            folder = Path(name)
            self._write(folder, names, whole)
            binary = prepare(folder / _MODEL, self._soc, folder / "htp", environment=self._environment)
            reference = OnnxExecutor(folder / _MODEL)
            with HtpSession(binary, self._environment) as candidate:
                pairs = [(reference(feed), candidate(feed)) for feed in self._feeds]
        return {
            name: signal_to_noise(
                np.concatenate([expected[name].ravel() for expected, _ in pairs]),
                np.concatenate([actual[name].ravel() for _, actual in pairs]),
            )
            for name in names
        }

    def _write(self, folder: Path, names: list[str], whole: bool) -> None:
        model = ir.load(self._model)
        tensors = (value.const_value for value in model.graph.initializers.values())
        for location in sorted({str(t.location) for t in tensors if isinstance(t, ir.ExternalTensor)}):
            place_file(self._model.parent / location, folder / location)
        if whole:
            produced = {value.name: value for node in model.graph for value in node.outputs}
            present = {value.name for value in model.graph.outputs}
            model.graph.outputs.extend(produced[name] for name in names if name not in present)
        else:
            model = ir.Model(
                extract(model.graph, list(model.graph.inputs), names), ir_version=model.ir_version
            )
        ir.save(model, folder / _MODEL)


def _probes(graph: ir.Graph) -> list[_Probe]:
    """Returns the float values in order; in a quantised graph those behind the rounding, which closes a node unit."""
    probes = []
    for node in graph:
        value = node.outputs[0]
        if value.dtype not in _FLOATS:
            continue
        if node.op_type == "DequantizeLinear":
            rounding = node.inputs[0].producer() if node.inputs[0] is not None else None
            source = rounding.inputs[0] if rounding is not None else None
            author = source.producer() if source is not None else None
            if author is not None:
                probes.append(_Probe(value.name or "", author))
        elif all(use.node.op_type != "QuantizeLinear" for use in value.uses()):
            probes.append(_Probe(value.name or "", node))
    return probes
