"""What lowering makes of one component."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

Progress = Callable[[str], None]
"""Told the name of each step when it begins."""


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What was made of one component. JSON-able by `dataclasses.asdict`.

    Attributes:
        component: Name.
        files: Written files, relative to the output folder, sorted.
        executable: The file among them that can be executed here, if any.
        emulator: Command that executes it; empty if it runs natively.
        arena_bytes: Scratch memory of a run.
        weight_bytes: Bytes of the weights file the component reads.
        code_bytes: Bytes of the compiled kernels.
        kernels: Number of distinct kernels; equal layers share theirs.
        calls: Number of kernel calls of a run.
        policy: Format name → what the device does with it (native, storage, requantised), for the formats used.
        executed: Whether the shipped binary itself can be executed here.
        execution_note: How, or why not and what is executed in its place.
        remarks: What a user should know, such as products without a tuned loop order.
        binding: What has to match before the files are loaded: version of the vendor's runtime, chip, checksum;
            empty for CPU code.
        triple: What the code for the device is made for; empty for the device's CPU.
    """

    component: str
    files: tuple[str, ...]
    executable: str | None
    emulator: tuple[str, ...]
    arena_bytes: int
    weight_bytes: int
    code_bytes: int
    kernels: int
    calls: int
    policy: Mapping[str, str]
    executed: bool
    execution_note: str
    remarks: tuple[str, ...] = ()
    binding: Mapping[str, str] = dataclasses.field(default_factory=dict)
    triple: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restores what `dataclasses.asdict` and JSON made of one.

        Raises:
            TypeError: A field is missing or unknown.
        """
        tuples = {"files", "emulator", "remarks"}
        restored: dict[str, Any] = {k: tuple(v) if k in tuples else v for k, v in values.items()}
        return cls(**restored)
