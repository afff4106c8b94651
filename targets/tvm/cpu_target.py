"""A target whose components run on the device's CPU, compiled by the shared TVM lowering."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from program.number_format import FormatName, format_of
from program.program import Component, Executor
from targets.contract.accelerator import Accelerator
from targets.contract.emulator import Emulator
from targets.contract.names import CPU, REFUSED
from targets.contract.target import Lowered, Progress
from targets.devices.device import Device
from targets.errors import TargetError
from targets.placing import estimate as estimation
from targets.placing.coverage import Coverage, NodeCoverage, operator_name, require_static
from targets.tvm.executor import AARCH64_EMULATOR, EMULATOR_COMMAND, EmulatedExecutor
from targets.tvm.process.compiled_component import CompiledComponent
from targets.tvm.process.remote_compiler import compile_in_worker
from targets.tvm.supported_operators import is_supported


class CpuTarget:
    """Lowers every node to CPU code.

    Args:
        name: Of the target.
    """

    format_names: tuple[str, ...] = ()
    emulators: Mapping[str, str] = {AARCH64_EMULATOR[0]: EMULATOR_COMMAND}

    def __init__(self, name: str) -> None:
        self.name = name

    def legalize(self, component: Component, device: Device) -> Component:  # noqa: ARG002 (protocol)
        """Returns the component itself: the lowering takes any graph of supported operators.

        Raises:
            TargetError: A shape is not static.
        """
        require_static(component)
        return component

    def partition(self, component: Component, device: Device) -> Coverage:
        """Places each node on the CPU, or refuses it where no kernel exists or the device refuses its format."""
        decisions = [_decide(node, device) for node in component.model.graph]
        return Coverage(component.name, tuple(decisions))

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes header, C file, objects and, for Linux devices, a static program.

        Raises:
            CoverageError: A node is refused.
            TargetError: A form of an operator has no kernel.
            ToolError: The cross compiler is missing or fails.
        """
        self.partition(component, device).require_complete()
        legal = self.legalize(component, device)
        if progress is not None:
            progress(f"compile {component.name}")
        compiled = self.compile(legal, weights_file, device.cpu.triple, device.cpu.features, out_dir)
        return summarise(legal, device, compiled)

    def compile(
        self, component: Component, weights_file: Path, triple: str, features: Sequence[str], folder: Path
    ) -> CompiledComponent:
        """Compiles a component in the worker, which also knows the converters that this target's module registers.

        Args:
            component: Legal.
            weights_file: The shared weights.
            triple: LLVM triple.
            features: LLVM features.
            folder: Existing.

        Raises:
            TargetError: A form of an operator has no kernel.
            ToolError: The cross compiler is missing or fails, or the worker was killed.
        """
        return compile_in_worker(component, weights_file, triple, features, folder, [type(self).__module__])

    def execute(
        self, component: Component, lowered: Lowered, out_dir: Path, weights_file: Path
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens the program under the emulator.

        Raises:
            TargetError: Nothing of it can be executed here.
            ToolError: The emulator is missing.
        """
        if lowered.executable is None:
            raise TargetError(
                "the component has no program that can be executed here",
                where=component.name,
                received=lowered.execution_note,
                remedy="lower it for a Linux device",
            )
        return EmulatedExecutor(
            out_dir / lowered.executable, weights_file, component.inputs, component.outputs, lowered.emulator
        )

    def estimate(self, component: Component, device: Device) -> estimation.Estimate:
        """Estimates a run from weights, state and bandwidth."""
        return estimation.estimate(component, device)

    def accelerators(self, device: Device) -> Sequence[Accelerator]:  # noqa: ARG002 (protocol)
        """Returns none: everything runs on the CPU."""
        return ()

    def emulator(self, processor: str) -> Emulator | None:  # noqa: ARG002 (protocol)
        """Returns None: there are no binaries but the CPU's."""
        return None


def summarise(component: Component, device: Device, compiled: CompiledComponent) -> Lowered:
    """What the artifact records of a component compiled for a Linux CPU."""
    emulator = AARCH64_EMULATOR if device.cpu.triple.startswith("aarch64") else ()
    remarks = [f"{name} keeps its default loop order" for name in compiled.unscheduled]
    return Lowered(
        component=component.name,
        files=compiled.files,
        executable=compiled.executable,
        emulator=emulator,
        arena_bytes=compiled.arena_bytes,
        weight_bytes=compiled.weight_bytes,
        code_bytes=compiled.code_bytes,
        kernels=len(compiled.kernels),
        calls=compiled.calls,
        policy=format_policy(component, device),
        executed=compiled.executable is not None,
        execution_note="the static program runs under " + " ".join(emulator) if emulator else "runs natively",
        remarks=tuple(remarks),
    )


def format_policy(component: Component, device: Device) -> dict[str, str]:
    """What the device's CPU does with each number format the graph uses, formats sorted."""
    return {name: device.formats.cpu.policy(name).support for name in used_formats(component)}


def used_formats(component: Component) -> tuple[FormatName, ...]:
    """Returns the number formats of a graph's values, sorted."""
    values = [*component.model.graph.inputs, *component.model.graph.initializers.values()]
    values += [output for node in component.model.graph for output in node.outputs]
    found = {format_of(value.dtype) for value in values if value.dtype is not None}
    return tuple(sorted(name for name in found if name is not None))


def _decide(node: ir.Node, device: Device) -> NodeCoverage:
    name, operator = node.name or node.outputs[0].name or "", operator_name(node)
    if not is_supported(node):
        remedy = "decompose the operator into standard ones before lowering"
        return NodeCoverage(name, operator, REFUSED, "there is no CPU kernel for it", remedy)
    for value in (*node.inputs, *node.outputs):
        used = None if value is None or value.dtype is None else format_of(value.dtype)
        if used is None:
            continue
        policy = device.formats.cpu.policy(used)
        if policy.support == "refused":
            reason = f"{used} is refused by {device.id}: {policy.reason}"
            return NodeCoverage(name, operator, REFUSED, reason, "choose another format in the recipe")
    return NodeCoverage(name, operator, CPU, "compiled to CPU code")
