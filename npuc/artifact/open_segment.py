"""Opens the binary of one segment of an artifact under the emulator of its processor."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from npuc.artifact.manifest import SegmentRecord
from npuc.errors import ArtifactError
from program.program import Executor
from targets.contract.names import CPU
from targets.contract.registry import find_emulator
from targets.tvm.executor import AARCH64_EMULATOR, EmulatedExecutor


def open_segment(
    folder: Path, target: str, segment: SegmentRecord
) -> contextlib.AbstractContextManager[Executor]:
    """Opens a segment for execution on this machine.

    Args:
        folder: Of the artifact.
        target: Of the artifact's device.
        segment: Its record.

    Raises:
        ArtifactError: It has no binary that can be executed here, or an unknown processor.
        ToolError: The emulator is not installed, or not in the version the binary was made for.
    """
    if segment.executable is None:
        raise ArtifactError(
            f"segment {segment.name} has no binary that can be executed here",
            where=str(folder),
            received=segment.note,
            remedy="use --reference to run the reference graphs",
        )
    executable = folder / segment.executable
    inputs, outputs = ([record.spec() for record in records] for records in (segment.inputs, segment.outputs))
    emulator = find_emulator(target, segment.processor)
    if emulator is not None:
        return emulator.open(executable, inputs, outputs, segment.binding, folder / segment.reference)
    if segment.processor != CPU or segment.weights is None:
        raise ArtifactError(
            f"segment {segment.name} is for a processor that this npuc does not know",
            where=str(folder),
            received=segment.processor,
            remedy="open the artifact with the npuc that wrote it",
        )
    if segment.emulator not in ((), AARCH64_EMULATOR):
        raise ArtifactError(
            f"segment {segment.name} names a command that is no emulator of npuc's",
            where=str(folder),
            received=shlex.join(segment.emulator)[:200],
            remedy="do not run this artifact: somebody changed its manifest",
        )
    return EmulatedExecutor(executable, folder / segment.weights, inputs, outputs, segment.emulator)
