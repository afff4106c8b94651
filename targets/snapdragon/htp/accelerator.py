"""HTP of one chip, or of several, as an accelerator: coverage by our rules, binaries by the vendor's tool."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import onnx_ir as ir

from program.program import Component
from targets.contract.accelerator import Accelerator
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.lowered import Lowered, Progress
from targets.contract.npu_format import A8W8, A16W4, A16W8, FLOAT16, NpuFormat
from targets.contract.package import Package, PackageJob
from targets.contract.shared_weights import SharedBinary, SharedGraph
from targets.devices.device import Device
from targets.errors import TargetError
from targets.placing.coverage import Refusal
from targets.snapdragon.htp.multi_chip import require_chips
from targets.snapdragon.htp.open_binary import TOOL
from targets.snapdragon.htp.package import htp_package
from targets.snapdragon.htp.partition import htp_refusal
from targets.snapdragon.htp.prepare import chips, prepare
from targets.snapdragon.htp.refused_nodes import naming_refused_nodes
from targets.snapdragon.htp.share_weights import prepare_and_run
from targets.snapdragon.htp.summary import Summary
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.tool import find_tool

_FIRST_WIDE_ARCH = 73
_INTEGERS = (A16W8, A8W8, A16W4)


class HtpChips:
    """Hexagon tensor processors of one chip or of several: a graph has to fit all, its binary has code for each.

    Args:
        socs: The chips; the first is the device's.
        environment: The installed tool; the user's by default.
    """

    name = "htp"
    exact = False
    exchanges_codes = False
    reason = "the HTP compiler takes it"
    least_operations = 0
    # the compiler takes nine times as much memory as a part, and a part has to stay below 1 GB
    part_megabytes: int | None = 420

    def __init__(self, socs: Sequence[HtpSoc], environment: ToolEnvironment | None = None) -> None:
        self.socs = chips(socs)
        self.formats: tuple[NpuFormat, ...] = (
            (FLOAT16, *_INTEGERS) if all(soc.float16 for soc in self.socs) else _INTEGERS
        )
        self._wide_factors = all(soc.arch >= _FIRST_WIDE_ARCH for soc in self.socs)
        self._environment = environment or ToolEnvironment(find_tool(TOOL))

    def require(self) -> None:
        """Checks that the vendor's tool is installed in the version of npuc's lock.

        Raises:
            ToolError: It is not.
        """
        self._environment.require()

    def versions(self) -> dict[str, str]:
        """Version of the tool by its package name."""
        tool = self._environment.tool
        return {tool.package: tool.version}

    def legalize(self, job: LegalizeJob) -> Legalized:
        """Rewrites a component in place.

        Raises:
            PassError: It cannot be rewritten.
        """
        # its passes import numpy-heavy modules that placing alone does not need
        from targets.snapdragon.htp.legalize.legalize import legalize_for_htp

        return legalize_for_htp(job, wide_factors=self._wide_factors)

    def package(self, job: PackageJob) -> Package:
        """Describes the sessions of ONNX Runtime's QNN provider."""
        return htp_package(job)

    def refusals(
        self,
        component: Component,  # noqa: ARG002 (protocol: a node alone decides)
        nodes: Collection[ir.Node],
    ) -> dict[ir.Node, Refusal]:
        """Says which nodes a chip does not take; the first such chip decides."""
        found = {
            node: next(filter(None, (htp_refusal(node, soc) for soc in self.socs)), None) for node in nodes
        }
        return {node: refusal for node, refusal in found.items() if refusal is not None}

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes `<component>/prepared.onnx` and `<component>/prepared_qnn.bin`.

        Raises:
            ToolError: The tool is missing.
            RefusedNodesError: The compiler names nodes that it does not take.
            JobError: The compiler refused the graph, also after its own validation, crashed or took too long.
        """
        if progress is not None:
            progress(f"prepare {component.name}")
        with tempfile.TemporaryDirectory(prefix="npuc-htp-") as folder:
            model = Path(folder) / "model.onnx"
            ir.save(component.model, model)
            place_file(weights_file, Path(folder) / weights_file.name)
            with naming_refused_nodes(component.name):
                binary = prepare(model, self.socs, out_dir / component.name, environment=self._environment)
        if len(self.socs) > 1:
            require_chips(binary.folder / binary.binary, self.socs)
        return Summary(self._environment.tool, self.socs, device, [component.name]).lowered(component, binary)


class HtpAccelerator(HtpChips):
    """Hexagon tensor processor of one chip.

    Args:
        soc: The chip.
        environment: The installed tool; the user's by default.
    """

    def __init__(self, soc: HtpSoc, environment: ToolEnvironment | None = None) -> None:
        super().__init__([soc], environment)

    @property
    def chip(self) -> str:
        """Part number of the chip."""
        return self.socs[0].model

    def join(self, others: Sequence[Accelerator]) -> HtpChips:
        """Returns an accelerator for this chip and others. Its graphs do not share weights with each other.

        The compiler refuses both at once: "Multi-SoC EP context is currently unsupported with shared EP context usage".

        Raises:
            TargetError: One is not HTP of another chip.
        """
        socs = [accelerator.socs[0] for accelerator in others if isinstance(accelerator, HtpAccelerator)]
        if len(socs) < len(others):
            raise TargetError(
                "one binary is for HTP of several chips",
                where=self.chip,
                received=", ".join(accelerator.name for accelerator in others),
                remedy="compile for the other device alone",
            )
        return HtpChips([*self.socs, *socs], self._environment)

    def lower_shared(
        self,
        graphs: Sequence[SharedGraph],
        device: Device,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> SharedBinary:
        """Writes `<first>/<component>.onnx` for each graph and `<first>/<first>_qnn.bin`, and executes the graphs.

        Raises:
            ToolError: The tool is missing.
            RefusedNodesError: The compiler names nodes that it does not take.
            JobError: The compiler refused a graph, also after its own validation, crashed or took too long.
        """
        names = [graph.component.name for graph in graphs]
        if progress is not None:
            progress(f"prepare {' and '.join(names)}")
        with naming_refused_nodes(" and ".join(names)):
            made, outputs = prepare_and_run(graphs, self.socs[0], out_dir / names[0], self._environment)
        summary = Summary(self._environment.tool, self.socs, device, names)
        lowered = {
            graph.component.name: summary.lowered(graph.component, made[graph.component.name])
            for graph in graphs
        }
        return SharedBinary(lowered, outputs)
