"""Opens the binary of one segment of an artifact under the emulator of its processor."""

from __future__ import annotations

import contextlib
from pathlib import Path

from exporter.program import Executor
from npuc.errors import ArtifactError
from npuc.manifest import SegmentRecord
from targets.snapdragon.htp.accelerator import open_binary
from targets.tvm.executor import EmulatedExecutor


def open_segment(folder: Path, segment: SegmentRecord) -> contextlib.AbstractContextManager[Executor]:
    """Opens a segment for execution on this machine.

    Args:
        folder: Of the artifact.
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
    if segment.processor == "htp":
        return open_binary(executable.parent, segment.binding)
    if segment.processor != "cpu" or segment.weights is None:
        raise ArtifactError(
            f"segment {segment.name} is for a processor that this npuc does not know",
            where=str(folder),
            received=segment.processor,
            remedy="open the artifact with the npuc that wrote it",
        )
    return EmulatedExecutor(
        executable,
        folder / segment.weights,
        tuple(record.spec() for record in segment.inputs),
        tuple(record.spec() for record in segment.outputs),
        list(segment.emulator),
    )
