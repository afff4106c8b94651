"""Hexagon's vector units as an accelerator: our own code for them, executed under `qemu-hexagon`."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path

import onnx_ir as ir

from exporter.program import Component
from targets.coverage import Refusal
from targets.device import Device
from targets.errors import ToolError
from targets.lowered import Lowered, Progress
from targets.snapdragon.hexagon.coverage import hexagon_refusals
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR
from targets.snapdragon.hexagon.processor import DEVICE
from targets.tvm.executor import require_emulator
from targets.tvm.worker_process import generate


def has_vector_units(architecture: str) -> bool:
    """Whether an NPU's generation, such as `v79`, is a Hexagon that runs code for `DEVICE`."""
    version = architecture.removeprefix("v")
    return version.isdecimal() and int(version) >= int(DEVICE.version.removeprefix("v"))


class HvxAccelerator:
    """See `targets.accelerator.Accelerator`. The only scheme is `hvx`: uint8 activations, int8 weights."""

    name = "hvx"
    schemes = ("hvx",)
    wide_factors = False
    exact = True
    exchanges_codes = True
    reason = "integer kernel"
    # below, the CPU takes less time than another call of the DSP: npuc's choice, not measured on a phone
    least_operations = 1 << 15

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
