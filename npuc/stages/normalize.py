"""Stage 2: captured graphs become elementary operators with tagged modality."""

from __future__ import annotations

from exporter.program import Program
from npuc.dump_ir import IrDump
from npuc.progress import Advance
from passes.pipeline import directly_read_weights, normalize
from passes.remark import Remark


def normalize_program(program: Program, advance: Advance, dump: IrDump) -> dict[str, list[Remark]]:
    """Normalises every component in place.

    Returns:
        Component name → remarks.
    """
    keep = directly_read_weights(program)
    remarks = {}
    for name, component in program.components.items():
        remarks[name] = normalize(component, keep, on_pass=dump.observer(name))
        advance(1, 0)
    return remarks
