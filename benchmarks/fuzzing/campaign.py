"""Runs workers over the damaged files of one kind, and starts another where one ends."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.fuzzing.outcome import BAD, CRASH, HANG

_SILENCE_SECONDS = 120.0
"""Until a worker without a word counts as hanging."""

_START_SECONDS = 600.0
"""Imports of a worker, on a loaded machine."""


@dataclasses.dataclass
class Tally:
    """What became of the files of one kind.

    Attributes:
        counts: Outcome → files.
        examples: Of bad outcomes: number of the file, outcome and what was seen.
    """

    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)

    def add(self, number: int, outcome: str, detail: str) -> None:
        """Counts a file."""
        self.counts[outcome] += 1
        if outcome in BAD:
            self.examples.append((number, outcome, detail))


def run_kind(kind: str, valid: Path, first: int, count: int) -> Tally:
    """Reads files `first` to `first + count - 1` of a kind; what ends badly once more, as npuc reads it.

    Args:
        kind: Its name.
        valid: Folder with the valid files.
        first: Number of the first; it decides the damage.
        count: How many.
    """
    tally, end, again = Tally(), first + count, Tally()
    while first < end:
        first = _run_worker([kind, str(valid), str(first), str(end - first)], first, tally)
    for number, outcome, _ in tally.examples:
        tally.counts[outcome] -= 1
        _run_worker(["--as-npuc", kind, str(valid), str(number), "1"], number, again)
    return Tally(tally.counts + again.counts, again.examples)


def _run_worker(arguments: Sequence[str], first: int, tally: Tally) -> int:
    """Runs one worker to its end; returns the next file to read."""
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "benchmarks.fuzzing.worker", *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, errors="replace"
        )
        begun, done, timed_out = _follow(process, tally)
        process.kill()
        process.wait()
        if begun is None and done is None:
            errors.seek(0)
            raise RuntimeError(f"the worker did not start: {errors.read()[-2000:]}")
        if begun is not None and begun != done:
            errors.seek(0)
            tally.add(
                begun, HANG if timed_out else CRASH, f"code {process.returncode}: {errors.read()[-1500:]}"
            )
        return (begun if begun is not None else first) + 1


def _follow(process: subprocess.Popen[str], tally: Tally) -> tuple[int | None, int | None, bool]:
    """Reads a worker's lines; returns the last file begun, the last one done, and whether it fell silent."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    begun = done = None
    while True:
        try:
            line = lines.get(timeout=_START_SECONDS if begun is None else _SILENCE_SECONDS)
        except queue.Empty:
            return begun, done, True
        if line is None:
            return begun, done, False
        entry = json.loads(line)
        if len(entry) == 1:
            begun = entry[0]
        else:
            done = entry[0]
            tally.add(*entry)


def _pump(stream: Iterable[str] | None, lines: queue.Queue[str | None]) -> None:
    for line in stream or ():
        lines.put(line)
    lines.put(None)
