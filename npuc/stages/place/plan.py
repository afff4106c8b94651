"""Which processor runs which part of every component: decided once, used by lowering, checking and describing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from npuc.artifact.manifest import NpuRecord
from npuc.artifact.weights_file import WEIGHTS_NAME
from npuc.compare.binary.agreement import Bound
from program.program import Component
from targets.contract.names import CPU
from targets.placing.coverage import Coverage


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a component that one processor runs.

    Attributes:
        component: The graph; its name is the segment's, which for a whole component is the component's own.
        processor: `cpu`, or the name of an accelerator; also the folder of its binaries.
        folder: Folder of the artifact that holds its reference graph and weights file.
        bound: How closely its binary has to agree with its reference graph.
    """

    component: Component
    processor: str
    folder: str
    bound: Bound

    @property
    def name(self) -> str:
        """Name of the segment, unique in the artifact."""
        return self.component.name

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU runs it."""
        return self.processor == CPU

    @property
    def reference(self) -> str:
        """Path of the reference graph inside the artifact."""
        return f"{self.folder}/{self.name}.onnx"

    @property
    def weights(self) -> str:
        """Path of the weights file inside the artifact."""
        return f"{self.folder}/{WEIGHTS_NAME}"


@dataclasses.dataclass(frozen=True)
class ComponentPlan:
    """How one component is run.

    Attributes:
        component: The graph that runs on the device, whole.
        segments: Its parts in order.
        npu: How it was changed for the NPU; None where the CPU runs the graph as prepared.
        coverage: Placement of each node; None on a device without accelerator.
    """

    component: Component
    segments: tuple[Segment, ...]
    npu: NpuRecord | None = None
    coverage: Coverage | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a program is run on a device.

    Attributes:
        components: By name, in the program's order.
        notes: What a user should know about the choice of processors.
        tools: Versions of the vendor tools used.
        chips: Chips that each NPU binary has code for, where they are several.
    """

    components: Mapping[str, ComponentPlan]
    notes: tuple[str, ...] = ()
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chips: tuple[str, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, in order."""
        return tuple(segment for plan in self.components.values() for segment in plan.segments)
