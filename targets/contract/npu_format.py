"""Number formats of NPUs, and which of a recipe's gates each is held to."""

from __future__ import annotations

import dataclasses
from typing import Literal

Gate = Literal["float16", "16 bit", "8 bit"]


@dataclasses.dataclass(frozen=True)
class NpuFormat:
    """What an accelerator computes in.

    Attributes:
        name: For `--npu`, recipes and manifests; lower case.
        gate: By the type of its activations: which gate binaries are held to, against their graphs.
        source_gate: Which gate its graphs are held to, against the user's model.
        from_float: Whether graphs are made of the float program, since rounding to FP8 first would only add its error;
            else of the prepared one, with the number formats of the recipe.
        wider: Name of the format that takes a component whose values this one does not hold; empty where there is none.
    """

    name: str
    gate: Gate
    source_gate: Gate
    from_float: bool = True
    wider: str = ""


FLOAT16 = NpuFormat("float16", "float16", "float16", from_float=False, wider="a16w8")
A16W8 = NpuFormat("a16w8", "16 bit", "16 bit")
A8W8 = NpuFormat("a8w8", "8 bit", "8 bit")
A16W4 = NpuFormat("a16w4", "16 bit", "8 bit")

STANDARD = {entry.name: entry for entry in (FLOAT16, A16W8, A8W8, A16W4)}
"""Formats that several accelerators share, by name: float16, or bits of activations and weights."""
