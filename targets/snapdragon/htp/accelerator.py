"""HTP of one chip as an accelerator: coverage by our rules, binaries and execution by the vendor's tool."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from exporter.program import Component, Executor
from targets.coverage import Coverage, NodeCoverage, Placement
from targets.device import Device
from targets.errors import ToolError
from targets.lowered import Lowered, Progress
from targets.snapdragon.htp.context_binary import BINARY_NAME, MODEL_NAME, ContextBinary
from targets.snapdragon.htp.partition import place_node
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.htp.session import HtpSession
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.tool import Tool, find_tool
from targets.tvm.cpu_target import CpuTarget, used_formats

_TOOL = "snapdragon"
_FLOAT_SCHEMES = ("float16", "a16w8", "a8w8", "a16w4")
_FIRST_WIDE_ARCH = 73
_INTEGER_SCHEMES = ("a16w8", "a8w8", "a16w4")


class HtpAccelerator:
    """Hexagon tensor processor of one chip.

    Args:
        soc: The chip.
        environment: The installed tool; the user's by default.
    """

    name = "htp"
    exact = False
    exchanges_codes = False

    def __init__(self, soc: HtpSoc, environment: ToolEnvironment | None = None) -> None:
        self.soc = soc
        self.schemes = _FLOAT_SCHEMES if soc.float16 else _INTEGER_SCHEMES
        self.wide_factors = soc.arch >= _FIRST_WIDE_ARCH
        self._environment = environment or ToolEnvironment(find_tool(_TOOL))

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

    def partition(self, component: Component, device: Device) -> Coverage:
        """Places each node on HTP, else on the CPU where there is a kernel, else nowhere."""
        on_cpu = {row.node: row for row in CpuTarget(self.name).partition(component, device).nodes}
        rows = [place_node(node, self.soc) for node in component.model.graph]
        return Coverage(component.name, tuple(_or_cpu(row, on_cpu[row.node]) for row in rows))

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
            JobError: The compiler refused the graph, also after its own validation, crashed or took too long.
        """
        if progress is not None:
            progress(f"prepare {component.name}")
        with tempfile.TemporaryDirectory(prefix="npuc-htp-") as folder:
            model = Path(folder) / "model.onnx"
            ir.save(component.model, model)
            place_file(weights_file, Path(folder) / weights_file.name)
            binary = prepare(model, self.soc, out_dir / component.name, environment=self._environment)
        return self._summarise(component, device, binary)

    def execute(
        self, component: Component, lowered: Lowered, out_dir: Path
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens the binary in the vendor's emulation."""
        return open_binary(out_dir / component.name, lowered.binding, self._environment)

    def _summarise(self, component: Component, device: Device, binary: ContextBinary) -> Lowered:
        tool = self._environment.tool
        constants = (value.const_value for value in component.model.graph.initializers.values())
        return Lowered(
            component=component.name,
            files=tuple(f"{component.name}/{name}" for name in (MODEL_NAME, BINARY_NAME)),
            executable=f"{component.name}/{MODEL_NAME}",
            emulator=(),
            arena_bytes=0,
            weight_bytes=sum(tensor.nbytes for tensor in constants if tensor is not None),
            code_bytes=binary.size,
            kernels=1,
            calls=1,
            policy={name: device.formats.npu.policy(name).support for name in used_formats(component)},
            executed=True,
            execution_note=f"the context binary runs in Qualcomm's HTP emulation ({tool.package} {tool.version})",
            binding={
                "soc_model": str(binary.soc_model),
                "compatibility": binary.compatibility,
                "sha256": binary.sha256,
                tool.package: tool.version,
            },
            triple=f"hexagon-v{self.soc.arch}",
        )


def open_binary(
    folder: Path, binding: Mapping[str, str], environment: ToolEnvironment | None = None
) -> HtpSession:
    """Opens a prepared graph in the emulation.

    Args:
        folder: Holds `prepared.onnx` and `prepared_qnn.bin`.
        binding: As recorded when it was prepared.
        environment: The installed tool; the user's by default.

    Raises:
        ToolError: The tool is missing, or of another version than the one that prepared the graph.
    """
    environment = environment or ToolEnvironment(find_tool(_TOOL))
    environment.require()
    _require_version(folder, binding, environment.tool)
    binary = ContextBinary(folder, int(binding["soc_model"]), binding["compatibility"], binding["sha256"])
    return HtpSession(binary, environment)


def _require_version(folder: Path, binding: Mapping[str, str], tool: Tool) -> None:
    made_with = binding.get(tool.package, "another tool")
    if made_with != tool.version:
        raise ToolError(
            "the context binary was prepared with another version of the vendor's tool",
            where=str(folder),
            received=f"{tool.package} {made_with}; this npuc executes with {tool.version}",
            remedy="compile the model again, or open it with the npuc that wrote it",
        )


def _or_cpu(on_htp: NodeCoverage, on_cpu: NodeCoverage) -> NodeCoverage:
    if on_htp.placement is Placement.HTP:
        return on_htp
    if on_cpu.placement is Placement.CPU:
        reason = f"not on HTP: {on_htp.reason}"
        return dataclasses.replace(on_cpu, reason=reason, remedy=on_htp.remedy)
    return dataclasses.replace(on_htp, reason=f"{on_htp.reason}; on the CPU: {on_cpu.reason}")
