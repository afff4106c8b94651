"""Writes the passes' remarks: one JSON line a decision, so that any of them can be questioned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from program.remark import Remark

REMARKS_NAME = "remarks.jsonl"


def write_remarks(remarks: Mapping[str, Sequence[Remark]], folder: Path) -> None:
    """Writes `remarks.jsonl`, in the order of components and passes."""
    with (folder / REMARKS_NAME).open("w", encoding="utf-8") as file:
        for component, entries in remarks.items():
            for entry in entries:
                record = {
                    "component": component,
                    "pass": entry.pass_name,
                    "node": entry.node,
                    "modality": entry.modality,
                    "what": entry.what,
                    "why": entry.why,
                    "numbers": dict(entry.numbers),
                }
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
