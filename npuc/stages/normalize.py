"""Stage 2: captured graphs become elementary operators with tagged modality."""

from __future__ import annotations

from exporter.program import Program
from npuc.dump_ir import IrDump
from npuc.progress import Advance
from passes.integer.quantised_graph import is_quantised
from passes.pipeline import NORMALISATION, QUANTISED_NORMALISATION, directly_read_weights, normalize
from passes.remark import Remark


def normalize_program(program: Program, advance: Advance, dump: IrDump) -> dict[str, list[Remark]]:
    """Normalises every component in place; those that come quantised keep their operators.

    Returns:
        Component name → remarks.
    """
    keep = directly_read_weights(program)
    remarks = {}
    for name, component in program.components.items():
        names = QUANTISED_NORMALISATION if is_quantised(component.model) else NORMALISATION
        remarks[name] = normalize(component, keep, names, dump.observer(name))
        advance(1, 0)
    return remarks
