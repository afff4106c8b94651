"""Hexagon processors code is made for, and their TVM targets."""

from __future__ import annotations

import dataclasses
from typing import Any

TRIPLE = "hexagon-unknown-linux-musl"
VECTOR_BYTES = 128
"""Bytes of an HVX register in the 128-byte mode, the only one since v66."""


@dataclasses.dataclass(frozen=True)
class Processor:
    """A generation of the Hexagon DSP with HVX.

    Attributes:
        version: `v66`, as in LLVM's `hexagonv66`.
    """

    version: str

    @property
    def cpu(self) -> str:
        """LLVM's name."""
        return f"hexagon{self.version}"

    def target(self, *, autovectorize: bool = False, features: tuple[str, ...] = ()) -> Any:
        """The TVM target.

        TVM's own kind `hexagon` compiles x86 code without a host; kind `llvm` with a Hexagon triple is the sure way.

        Args:
            autovectorize: Let LLVM vectorise scalar loops for HVX, which it does not do by itself.
            features: More LLVM features, such as `+hvx-qfloat`.
        """
        import tvm  # seconds; which processors there are is asked before anything is compiled

        options: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": TRIPLE,
            "mcpu": self.cpu,
            "mattr": [f"+hvx{self.version}", "+hvx-length128b", *features],
            "opt-level": 3,
        }
        if autovectorize:
            options["cl-opt"] = ["-hexagon-autohvx"]
        return tvm.target.Target(options)


EXECUTED = Processor("v66")
"""What Debian 12's `qemu-hexagon` 7.2 executes; it knows no later generation than v67."""

DEVICE = Processor("v73")
"""Snapdragon 8 Gen 2 and later run it; compiled and disassembled here, never executed."""
