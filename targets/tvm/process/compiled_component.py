"""What compiling a component for a CPU makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class CompiledComponent:
    """What was written. JSON-able by `dataclasses.asdict`.

    Attributes:
        files: Names relative to the output folder, sorted.
        executable: Name of the runner program, if one was linked.
        arena_bytes: Scratch memory of a run.
        weight_bytes: Bytes of the weights the component reads.
        code_bytes: Bytes of the kernel object.
        kernels: Names of the distinct kernels.
        calls: Kernel calls of a run.
        unscheduled: Products that kept the default loops.
    """

    files: tuple[str, ...]
    executable: str | None
    arena_bytes: int
    weight_bytes: int
    code_bytes: int
    kernels: tuple[str, ...]
    calls: int
    unscheduled: tuple[str, ...]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restores what `dataclasses.asdict` and JSON made of one."""
        tuples = {"files", "kernels", "unscheduled"}
        restored: dict[str, Any] = {k: tuple(v) if k in tuples else v for k, v in values.items()}
        return cls(**restored)
