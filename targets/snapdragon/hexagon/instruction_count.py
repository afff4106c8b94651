"""Counts the instructions a program executes, from the emulator's own log.

`qemu-hexagon -d in_asm,exec,nochain` writes every translated block with its disassembly once, and a line for every time
a block is entered. Their product is the number of executed packets and instructions. A Hexagon thread issues one packet
a cycle at best; stalls, caches and memory are not modelled. So these are counts, not times.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from targets.errors import ExecutionError, ToolError
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR

_LOG = ("-d", "in_asm,exec,nochain")
_TIME_LIMIT_S = 300
_INSTRUCTION = re.compile(rb"^0x([0-9a-f]{8}):  0x[0-9a-f]{8}\t(\{?)\t(.*)")
_TRACE = re.compile(rb"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]{8})/[^\]]*\] (\S*)")
_VECTOR = re.compile(rb"\b[VQ]\d")
_NO_INSTRUCTION = (b"nop", b"immext")


@dataclasses.dataclass(frozen=True)
class InstructionCount:
    """Executed packets and instructions; no-operations and constant extenders are left out.

    Attributes:
        packets: Groups of up to four instructions that are issued together.
        vector: Instructions that read or write an HVX register.
        scalar: All others.
    """

    packets: int = 0
    vector: int = 0
    scalar: int = 0

    def __add__(self, other: InstructionCount) -> InstructionCount:
        """Sums field by field."""
        return InstructionCount(
            self.packets + other.packets, self.vector + other.vector, self.scalar + other.scalar
        )


def count_executed(binary: Path, codes: bytes) -> dict[str, InstructionCount]:
    """Runs a program once and counts by function.

    Args:
        binary: Static program with symbols.
        codes: All its inputs, one after the other.

    Returns:
        Counts by symbol, sorted.

    Raises:
        ToolError: The emulator is missing.
        ExecutionError: The program failed or took too long.
    """
    if shutil.which(HEXAGON_EMULATOR[0]) is None:
        raise ToolError(
            "the emulator is not installed",
            where=HEXAGON_EMULATOR[0],
            remedy="install it: sudo apt-get install -y qemu-user",
        )
    command = [*HEXAGON_EMULATOR, *_LOG, str(binary), "unused"]
    with tempfile.TemporaryFile() as standard_input:
        standard_input.write(codes)
        standard_input.seek(0)
        with subprocess.Popen(
            command, stdin=standard_input, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            timer = threading.Timer(_TIME_LIMIT_S, process.kill)
            timer.start()
            counts = count_log(process.stderr or ())
            timer.cancel()
    if process.returncode != 0:
        raise ExecutionError(
            f"the program ended with exit status {process.returncode}, or took more than {_TIME_LIMIT_S} s",
            where=" ".join(command),
        )
    return counts


def count_log(lines: Iterable[bytes]) -> dict[str, InstructionCount]:
    """Counts by symbol in the lines of an emulator's log."""
    blocks: dict[bytes, InstructionCount] = {}
    entries: dict[bytes, int] = {}
    current = b""
    for line in lines:
        if line.startswith(b"Trace"):
            entries[line] = entries.get(line, 0) + 1
        elif line.startswith(b"IN:"):
            current = b""
        elif instruction := _INSTRUCTION.match(line):
            address, opening, text = instruction[1], instruction[2], instruction[3]
            current = current or address
            if address == current:
                blocks[current] = InstructionCount()
            blocks[current] += _classify(text, starts_packet=bool(opening))
    counts: dict[str, InstructionCount] = {}
    for line, times in entries.items():
        if trace := _TRACE.match(line):
            block, symbol = blocks[trace[1]], trace[2].decode()
            executed = InstructionCount(block.packets * times, block.vector * times, block.scalar * times)
            counts[symbol] = counts.get(symbol, InstructionCount()) + executed
    return dict(sorted(counts.items()))


def _classify(text: bytes, *, starts_packet: bool) -> InstructionCount:
    """One line of disassembly; a duplex holds two instructions."""
    parts = [part.strip() for part in text.rstrip(b" }").split(b";")]
    real = [part for part in parts if part and not part.startswith(_NO_INSTRUCTION)]
    vector = sum(1 for part in real if _VECTOR.search(part))
    return InstructionCount(int(starts_packet), vector, len(real) - vector)
