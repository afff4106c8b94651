"""Hexagon's vector units as an accelerator: our own code for them, executed under `qemu-hexagon`."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path

import onnx_ir as ir

from program.program import Component
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.lowered import Lowered, Progress
from targets.contract.npu_format import NpuFormat
from targets.contract.package import Package, PackageJob
from targets.devices.device import Device
from targets.errors import ToolError
from targets.placing.coverage import Refusal
from targets.snapdragon.hexagon.coverage import hexagon_refusals
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR
from targets.snapdragon.hexagon.package import hvx_package
from targets.snapdragon.hexagon.processor import DEVICE
from targets.tvm.executor import require_emulator
from targets.tvm.process.worker_process import generate


def has_vector_units(architecture: str) -> bool:
    """Whether an NPU's generation, such as `v79`, is a Hexagon that runs code for `DEVICE`."""
    version = architecture.removeprefix("v")
    return version.isdecimal() and int(version) >= int(DEVICE.version.removeprefix("v"))


class HvxAccelerator:
    """See `targets.contract.accelerator.Accelerator`. The only format is `hvx`: uint8 activations, int8 weights."""

    name = "hvx"
    formats = (NpuFormat("hvx", "8 bit", "8 bit"),)
    exact = True
    exchanges_codes = True
    reason = "integer kernel"
    # below, the CPU takes less time than another call of the DSP: npuc's choice, not measured on a phone
    least_operations = 1 << 15
    part_megabytes = None

    def require(self) -> None:
        """Checks that the emulator and the cross compiler are there.

        Raises:
            ToolError: One is not.
        """
        require_emulator(HEXAGON_EMULATOR)
        if importlib.util.find_spec("ziglang") is None:
            raise ToolError(
                "the cross compiler is missing",
                where="ziglang",
                remedy="install it: pip install 'ziglang>=0.17.1'",
            )

    def versions(self) -> dict[str, str]:
        """Returns nothing: TVM and the cross compiler are npuc's own dependencies."""
        return {}

    def legalize(self, job: LegalizeJob) -> Legalized:
        """Rewrites a component in place.

        Raises:
            PassError: It cannot be rewritten.
        """
        # its passes import modules that placing alone does not need
        from targets.snapdragon.hexagon.legalize import legalize_for_vector_units

        return legalize_for_vector_units(job)

    def package(self, job: PackageJob) -> Package:
        """Copies what is linked on the device, and describes it."""
        return hvx_package(job)

    def refusals(self, component: Component, nodes: Collection[ir.Node]) -> dict[ir.Node, Refusal]:
        """Says which nodes have no integer kernel."""
        return hexagon_refusals(component, nodes)

    def lower(
        self,
        component: Component,
        device: Device,  # noqa: ARG002 (one object serves all devices)
        weights_file: Path,  # noqa: ARG002 (the program holds its weights)
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes the program, the object for the device and their sources into a folder of the component's name.

        Raises:
            TargetError: A node has no integer kernel after all.
            ToolError: The cross compiler is missing or fails.
        """
        if progress is not None:
            progress(f"compile {component.name}")
        folder = out_dir / component.name
        folder.mkdir()
        function = "targets.snapdragon.hexagon.summary:lower_and_summarise"
        return Lowered.from_json(generate(function, component, {"folder": str(folder.absolute())}, out_dir))
