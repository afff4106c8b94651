"""What an app on the device needs beside a processor's binaries, and how its files get there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from program.program import TensorSpec
from targets.contract.lowered import Lowered
from targets.devices.device import Device


@dataclasses.dataclass(frozen=True)
class PackagedSegment:
    """A part of a component that the processor runs.

    Attributes:
        name: Unique in the artifact.
        inputs: In the order of the binary.
        outputs: In the order of the binary.
        lowered: Its binaries; file names are relative to `PackageJob.binaries`.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    lowered: Lowered


@dataclasses.dataclass(frozen=True)
class PackageJob:
    """What to describe.

    Attributes:
        device: The device.
        segments: What the processor runs, in order; at least one.
        binaries: Folder of the artifact, named as the processor, with all binaries.
        destination: Where further files go, `device/PROCESSOR` of the artifact; made by who writes into it.
        tools: Versions of the vendors' tools used.
        chips: Chips that each binary has code for, where they are several.
        subnetworks: Name → component of the full network → component that stands for it; the largest first.
        cpu_weights: Paths in the artifact of the weights that segments on the CPU read.
    """

    device: Device
    segments: Sequence[PackagedSegment]
    binaries: Path
    destination: Path
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chips: Sequence[str] = ()
    subnetworks: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    cpu_weights: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Package:
    """What goes into `device/sessions.json` and `device/README.md`.

    Attributes:
        entries: By segment: what is said of it beside its name, processor, files, inputs and outputs. A key `files`
            replaces the files of the binary.
        sessions: What all of them have in common.
        readme: A section of Markdown, from its heading of level 2 to the end of its last line.
    """

    entries: Mapping[str, Mapping[str, Any]]
    sessions: Mapping[str, Any]
    readme: str
