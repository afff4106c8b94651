"""Gives every component the form in which an accelerator of the device computes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.feeds import cast_feeds
from npuc.artifact.paths import MODEL_FOLDER
from npuc.artifact.samples import load_samples
from npuc.artifact.weights_file import large_initializers
from npuc.stages.capture.float_program import FloatProgram, load_float_program
from npuc.stages.capture.prepared import Prepared
from npuc.stages.place.scheme import NpuChoice
from passes.core.errors import FormatRangeError
from passes.integer.quantised_graph import is_quantised, source_scheme
from program.program import Component, Feeds
from program.remark import Remark
from targets.contract.accelerator import Accelerator
from targets.contract.legalize import LegalizeJob
from targets.contract.npu_format import STANDARD, NpuFormat
from targets.placing.units import is_pair


@dataclasses.dataclass(frozen=True)
class Legal:
    """A graph for an accelerator, what it was made of, how, and why.

    Attributes:
        component: The graph.
        before: What it was made of.
        accelerator: Whose form it has.
        format: Number format.
        reason: Why this one.
        remarks: Of the passes.
    """

    component: Component
    before: ir.Model
    accelerator: str
    format: NpuFormat
    reason: str
    remarks: Sequence[Remark]


def legalize_program(
    prepared: Prepared, accelerators: Sequence[Accelerator], choice: NpuChoice, artifact: Path
) -> dict[str, Legal]:
    """Rewrites every component for the preferred accelerator, or for the first behind it that takes any of it.

    Args:
        prepared: Final graphs.
        accelerators: Of the device, the preferred one first.
        choice: What that one computes in.
        artifact: Folder with the prepared program and, where a format wants it, the float program.

    Returns:
        By component, in the program's order.

    Raises:
        PassError: A component cannot be rewritten; a `FormatRangeError` only where the format was asked for.
    """
    components = prepared.program.components
    if all(is_quantised(component.model) for component in components.values()):
        return {name: _as_it_is(component, accelerators[0]) for name, component in components.items()}
    if choice.format is None:
        return {}
    legalizer, wish = _Legalizer(prepared, artifact), _Wish(choice.format, choice.reason, choice.measured)
    legal = legalizer.preferred(accelerators[0], wish, automatic=choice.automatic)
    if choice.automatic:
        legal |= {
            name: other
            for name, entry in legal.items()
            if not _takes_any(accelerators[0], entry.component)
            and (other := legalizer.other(name, accelerators[1:])) is not None
        }
    return {name: legal[name] for name in components}


def _as_it_is(prepared: Component, accelerator: Accelerator) -> Legal:
    """A graph that comes quantised keeps its integers, whatever the NPU could compute in."""
    component = dataclasses.replace(prepared, model=prepared.model.clone())
    found = STANDARD[source_scheme(component.model).value]
    reason = "quantised in the source: used as it is"
    return Legal(component, prepared.model, accelerator.name, found, reason, ())


@dataclasses.dataclass(frozen=True)
class _Wish:
    """A number format, why, and whether a narrower one may be measured."""

    format: NpuFormat
    reason: str
    measured: bool = False

    def wider(self, accelerator: Accelerator, error: FormatRangeError) -> _Wish | None:
        """What an accelerator takes where the format does not hold a component; None where it has nothing."""
        found = next((entry for entry in accelerator.formats if entry.name == self.format.wider), None)
        reason = f"auto: {self.format.name} does not hold {error.received}"
        return None if found is None else _Wish(found, reason)


class _Legalizer:
    """Rewrites components of one prepared program; reads the float program once, if any format wants it."""

    def __init__(self, prepared: Prepared, artifact: Path) -> None:
        self._prepared, self._artifact = prepared, artifact
        self._float: FloatProgram | None = None
        self._samples: Mapping[str, Sequence[Feeds]] | None = None

    def preferred(self, accelerator: Accelerator, wish: _Wish, *, automatic: bool) -> dict[str, Legal]:
        """Returns all components for an accelerator; what an automatic format does not hold is in a wider one."""
        components = self._prepared.program.components
        legal: dict[str, Legal] = {}
        refused: dict[str, FormatRangeError] = {}
        for name in components:
            try:
                legal[name] = self.one(name, accelerator, wish)
            except FormatRangeError as error:
                if not automatic or wish.wider(accelerator, error) is None:
                    raise
                refused[name] = error
        wider = wish.wider(accelerator, next(iter(refused.values()))) if refused else None
        if wider is not None:
            for name in _with_sharers(refused, components):
                legal[name] = self.one(name, accelerator, wider)
        return legal

    def other(self, name: str, accelerators: Sequence[Accelerator]) -> Legal | None:
        """Returns a component for the first accelerator that takes any of it; None where none does."""
        for accelerator in accelerators:
            reason = f"auto: the processors before {accelerator.name} take none of it"
            try:
                entry = self.one(name, accelerator, _Wish(accelerator.formats[0], reason))
            except FormatRangeError:
                continue
            if _takes_any(accelerator, entry.component):
                return entry
        return None

    def one(self, name: str, accelerator: Accelerator, wish: _Wish) -> Legal:
        """Returns one component for an accelerator."""
        source, feeds = self._source(name) if wish.format.from_float else self._final(name)
        component = dataclasses.replace(source, model=source.model.clone())
        done = accelerator.legalize(LegalizeJob(component, feeds, wish.format, wish.measured))
        reason = f"{wish.reason}; {done.detail}" if done.detail else wish.reason
        return Legal(component, source.model, accelerator.name, done.format, reason, done.remarks)

    def _source(self, name: str) -> tuple[Component, Sequence[Feeds]]:
        if self._float is None:
            self._float = load_float_program(self._prepared, self._artifact)
        return self._float.components[name], self._float.feeds[name]

    def _final(self, name: str) -> tuple[Component, Sequence[Feeds]]:
        if self._samples is None:
            self._samples = load_samples(self._artifact / MODEL_FOLDER)
        component = self._prepared.program.components[name]
        return component, [cast_feeds(feed, component.inputs) for feed in self._samples[name]]


def _with_sharers(names: Collection[str], components: Mapping[str, Component]) -> set[str]:
    """Adds the components that share weights with one of those named: a shared binary has one format."""
    weights = {name: set(large_initializers({name: part})) for name, part in components.items()}
    return {
        name for name in components if any(name == other or weights[name] & weights[other] for other in names)
    }


def _takes_any(accelerator: Accelerator, component: Component) -> bool:
    computing = [node for node in component.model.graph if not is_pair(node)]
    return len(accelerator.refusals(component, computing)) < len(computing)
