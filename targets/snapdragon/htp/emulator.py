"""HTP context binaries in Qualcomm's emulation."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from program.program import Executor, Feeds, TensorSpec
from targets.contract.joint import CHIP
from targets.snapdragon.htp.divergence import first_divergence
from targets.snapdragon.htp.open_binary import open_binary
from targets.snapdragon.socs import find_htp_soc


class HtpEmulator:
    """See `targets.contract.emulator.Emulator`."""

    def open(
        self,
        executable: Path,
        inputs: Sequence[TensorSpec],  # noqa: ARG002 (protocol)
        outputs: Sequence[TensorSpec],  # noqa: ARG002 (protocol)
        binding: Mapping[str, str],
        graph: Path | None = None,
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens a prepared graph, which names its inputs and outputs itself.

        Raises:
            ToolError: The tool is missing, or of another version than the one that prepared the graph.
            ExecutionError: The binary has to be compiled again to be executed, but there is no graph.
        """
        return open_binary(executable, binding, graph)

    def exact_reference(self, graph: Path) -> None:
        """Returns None: how HTP rounds is not published."""

    def explain(
        self, graph: Path, binding: Mapping[str, str], feeds: Sequence[Feeds], min_sqnr: float
    ) -> str:
        """Names the first operator that diverges.

        Raises:
            ToolError: The tool is missing.
        """
        found = first_divergence(
            graph, find_htp_soc(binding.get(CHIP, binding["soc_model"])), feeds, min_sqnr
        )
        if found is None:
            return "no single operator diverges"
        return f"the first operator that diverges: {found}"
