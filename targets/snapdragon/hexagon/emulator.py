"""Static programs for Hexagon under `qemu-hexagon`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from program.program import Feeds, TensorSpec
from targets.snapdragon.hexagon.binding import bound_tensors, coded_names
from targets.snapdragon.hexagon.executor import HexagonExecutor
from targets.snapdragon.hexagon.program.reference import IntegerReference, first_divergence, read_program


class HvxEmulator:
    """See `targets.contract.emulator.Emulator`."""

    def open(
        self,
        executable: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        binding: Mapping[str, str],
        graph: Path | None = None,  # noqa: ARG002 (protocol)
    ) -> HexagonExecutor:
        """Opens a program.

        Raises:
            ToolError: `qemu-hexagon` is not installed.
            TargetError: The binding is damaged.
        """
        given, made = bound_tensors(inputs, binding), bound_tensors(outputs, binding)
        return HexagonExecutor(executable, given, made, coded=coded_names([*inputs, *outputs]))

    def exact_reference(self, graph: Path) -> IntegerReference:
        """Returns the graph's integer program in numpy."""
        return IntegerReference(read_program(graph))

    def explain(
        self,
        graph: Path,
        binding: Mapping[str, str],  # noqa: ARG002 (protocol)
        feeds: Sequence[Feeds],
        min_sqnr: float,
    ) -> str:
        """Tells a wrong binary from integers that are too coarse for the graph."""
        found = first_divergence(graph, feeds, min_sqnr)
        if found:
            return f"the first operation whose integers leave the graph: {found}"
        return "the graph's integers agree with it: the binary computes something else"
