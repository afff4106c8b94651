"""Executes the accelerator's programs on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from npuc_mdla.program import ProgramExecutor
from program.program import Executor, Feeds, TensorSpec


class MdlaEmulator:
    """See `targets.contract.emulator.Emulator`."""

    def open(
        self,
        executable: Path,
        inputs: Sequence[TensorSpec],  # noqa: ARG002 (protocol: the program knows its tensors)
        outputs: Sequence[TensorSpec],  # noqa: ARG002 (as above)
        binding: Mapping[str, str],  # noqa: ARG002 (protocol: there is one version)
        graph: Path | None = None,  # noqa: ARG002 (protocol)
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens a program."""
        return contextlib.nullcontext(ProgramExecutor(executable))

    def exact_reference(self, graph: Path) -> Executor | None:  # noqa: ARG002 (protocol)
        """Returns nothing: the order of float sums is not fixed."""
        return None

    def explain(
        self,
        graph: Path,
        binding: Mapping[str, str],  # noqa: ARG002 (protocol)
        feeds: Sequence[Feeds],  # noqa: ARG002 (protocol)
        min_sqnr: float,  # noqa: ARG002 (protocol)
    ) -> str:
        """Names the graph; a real back end would look for the first operator that diverges."""
        return f"compare the operators of {graph.name} one by one"
