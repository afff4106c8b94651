"""The accelerator, and the offer of it that npuc finds by its entry point."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

import onnx_ir as ir

from npuc_mdla.emulator import MdlaEmulator
from npuc_mdla.legalize import W8F32, store_weights_in_bytes
from npuc_mdla.program import write_program
from program.program import Component
from program.templating import text_templates
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.lowered import Lowered, Progress
from targets.contract.package import Package, PackageJob
from targets.devices.device import Device
from targets.placing.coverage import Refusal


class MdlaAccelerator:
    """See `targets.contract.accelerator.Accelerator`."""

    name = "mdla"
    formats = (W8F32,)
    exact = False
    exchanges_codes = False
    reason = "a program of the MDLA takes it"
    least_operations = 0
    part_megabytes = None

    def require(self) -> None:
        """Needs no tool."""

    def versions(self) -> dict[str, str]:
        """Names the compiler for cache keys and artifacts."""
        return {"npuc-mdla": "0.1.0"}

    def legalize(self, job: LegalizeJob) -> Legalized:
        """Stores weights in 8 bits."""
        return store_weights_in_bytes(job)

    def refusals(
        self,
        component: Component,  # noqa: ARG002 (protocol: a node alone decides)
        nodes: Collection[ir.Node],
    ) -> dict[ir.Node, Refusal]:
        """Says which nodes are not in `rules.toml`."""
        found = {node: _refusal(node) for node in nodes}
        return {node: refusal for node, refusal in found.items() if refusal is not None}

    def lower(
        self,
        component: Component,
        device: Device,  # noqa: ARG002 (protocol: there is one version)
        weights_file: Path,  # noqa: ARG002 (the component names its weights)
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes one program."""
        if progress is not None:
            progress(f"compile {component.name}")
        path = out_dir / f"{component.name}.mdla"
        write_program(component, path)
        size = path.stat().st_size
        return Lowered(
            component=component.name,
            files=(path.name,),
            executable=path.name,
            emulator=("npuc_mdla",),
            arena_bytes=0,
            weight_bytes=size,
            code_bytes=size,
            kernels=1,
            calls=1,
            policy={"int8": "storage", "float32": "native"},
            executed=True,
            execution_note="the interpreter of the ONNX standard executes the program",
            binding={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        )

    def package(self, job: PackageJob) -> Package:
        """Every file the device needs is a binary already."""
        programs = {segment.name: segment.lowered.executable for segment in job.segments}
        template = text_templates(__package__).get_template("readme.md.j2")
        entries = {name: {"program": f"{job.binaries.name}/{file}"} for name, file in programs.items()}
        return Package(entries, {"loader": "mdla"}, template.render(programs=list(programs.values())))


class MdlaOffer:
    """See `targets.contract.accelerator.AcceleratorOffer`."""

    format_names = (W8F32.name,)

    def accelerator(self, device: Device) -> MdlaAccelerator | None:
        """Returns the accelerator of boards whose NPU is called so."""
        return MdlaAccelerator() if device.npu.architecture == "mdla-demo" else None

    def emulator(self) -> MdlaEmulator:
        """Returns what executes its programs."""
        return MdlaEmulator()


def create_offer() -> MdlaOffer:
    """Returns the offer; the entry point names this function."""
    return MdlaOffer()


@functools.cache
def _rules() -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / "rules.toml").read_text("utf-8"))


def _refusal(node: ir.Node) -> Refusal | None:
    if node.op_type in _rules()["refused"]:
        return Refusal(**_rules()["refused"][node.op_type])
    if node.domain or node.op_type not in _rules()["taken"]:
        return Refusal("the MDLA has no such operator", "decompose it into standard operators")
    return None
