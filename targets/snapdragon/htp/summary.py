"""Records what preparing a graph for HTP gave."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from program.program import Component
from targets.contract.joint import CHIPS
from targets.contract.lowered import Lowered
from targets.contract.shared_weights import GRAPHS
from targets.devices.device import Device
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.socs import HtpSoc
from targets.tools.tool import Tool
from targets.tvm.cpu_target import used_formats


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a record is made from.

    Attributes:
        tool: That prepared the graphs.
        socs: The chips.
        device: Its formats say what becomes of the graphs'.
        graphs: Names of all graphs in the binary, in order.
    """

    tool: Tool
    socs: Sequence[HtpSoc]
    device: Device
    graphs: Sequence[str]

    def lowered(self, component: Component, binary: ContextBinary) -> Lowered:
        """Returns the record of one graph of a binary, whose size counts for the first graph."""
        folder, is_first = binary.folder.name, component.name == self.graphs[0]
        constants = (value.const_value for value in component.model.graph.initializers.values())
        formats = self.device.formats.npu
        return Lowered(
            component=component.name,
            files=(f"{folder}/{binary.model}", f"{folder}/{binary.binary}"),
            executable=f"{folder}/{binary.model}",
            emulator=(),
            arena_bytes=0,
            weight_bytes=sum(tensor.nbytes for tensor in constants if tensor is not None),
            code_bytes=binary.size if is_first else 0,
            kernels=1,
            calls=1,
            policy={name: formats.policy(name).support for name in used_formats(component)},
            executed=len(self.socs) == 1,
            execution_note=self._note(),
            remarks=() if is_first else (f"its code and weights are in the binary of {self.graphs[0]}",),
            binding=self._binding(binary),
            triple=f"hexagon-v{self.socs[0].arch}",
        )

    def _note(self) -> str:
        version = f"{self.tool.package} {self.tool.version}"
        if len(self.socs) > 1:
            chips = ", ".join(soc.model for soc in self.socs)
            return (
                f"the binary has code for {chips}, which is checked by name; {version} cannot execute it here."
                " Executed: the same graph compiled for each chip alone, in Qualcomm's HTP emulation"
            )
        if len(self.graphs) > 1:
            return (
                "the process that compiled the context binary shared by prefill and decode executed it in Qualcomm's"
                f" HTP emulation ({version}). The emulation does not load it from its file: `npuc verify` and"
                " `npuc run` compile the same graphs again, compare size and EPContext files, and execute that"
            )
        return f"the context binary runs in Qualcomm's HTP emulation ({version})"

    def _binding(self, binary: ContextBinary) -> dict[str, str]:
        binding = {
            "soc_model": ",".join(str(soc.soc_model) for soc in self.socs),
            "compatibility": binary.compatibility,
            "sha256": binary.sha256,
            self.tool.package: self.tool.version,
        }
        if len(self.socs) > 1:
            binding[CHIPS] = ",".join(soc.model for soc in self.socs)
        return binding | ({GRAPHS: ",".join(self.graphs)} if len(self.graphs) > 1 else {})
