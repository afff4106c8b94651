"""Captured graphs become elementary operators with tagged modality."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from npuc.compare.source.first_wrong_pass import Rewriting
from npuc.dump_ir import IrDump
from npuc.terminal.progress import Advance
from passes.integer.quantised_graph import is_quantised
from passes.pipeline import NORMALISATION, QUANTISED_NORMALISATION, directly_read_weights, normalize
from program.program import Program
from program.remark import Remark


@dataclasses.dataclass(frozen=True)
class Normalized:
    """What the stage did, by component.

    Attributes:
        remarks: Of the passes.
        rewritings: The graphs as they were captured, and which passes ran on them.
    """

    remarks: dict[str, list[Remark]]
    rewritings: Mapping[str, Rewriting]


def normalize_program(program: Program, advance: Advance, dump: IrDump) -> Normalized:
    """Normalises every component in place; those that come quantised keep their operators."""
    keep = directly_read_weights(program)
    remarks, rewritings = {}, {}
    for name, component in program.components.items():
        names = QUANTISED_NORMALISATION if is_quantised(component.model) else NORMALISATION
        rewritings[name] = Rewriting(component, component.model.clone(), names, keep)
        remarks[name] = normalize(component, keep, names, dump.observer(name))
        advance(1, 0)
    return Normalized(remarks, rewritings)
