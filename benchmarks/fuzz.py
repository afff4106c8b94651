"""Damages valid files of every kind that npuc reads, reads them, and writes what became of them into a table.

    python -m benchmarks.fuzz [--mutations 100000] [--kind onnx] [--first 0] [--examples 3]

The reading happens in child processes with limits. Number and kind of a file decide its damage: `--kind onnx --first 17
--mutations 1` makes one of them again. The table of a whole run goes to docs/results/fuzzing.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.fuzzing.campaign import Tally, run_kind
from benchmarks.fuzzing.kinds import KINDS
from benchmarks.fuzzing.table import write_table

TABLE = Path(__file__).parents[1] / "docs" / "results" / "fuzzing.md"


def main() -> None:
    """Runs the chosen kinds and prints what no user should see."""
    arguments = _arguments()
    kinds = [KINDS[name] for name in arguments.kind or KINDS]
    shares = sum(kind.share for kind in kinds)
    tallies: dict[str, Tally] = {}
    for kind in kinds:
        count, start = -(-arguments.mutations * kind.share // shares), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="npuc-fuzz-") as name:
            kind.make(Path(name))
            tallies[kind.name] = run_kind(kind.name, Path(name), arguments.first, count)
        _print(kind.name, tallies[kind.name], time.monotonic() - start, arguments.examples)
    if not arguments.kind:
        write_table(tallies, TABLE, arguments.mutations)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=100_000, help="files in all (default: 100000)")
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first file (default: 0)")
    parser.add_argument("--examples", type=int, default=3, help="bad ones to print of each kind (default: 3)")
    return parser.parse_args()


def _print(name: str, tally: Tally, seconds: float, examples: int) -> None:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.counts.items()))
    print(f"{name}: {counts} ({seconds:.0f} s)", flush=True)
    seen: set[str] = set()
    for number, outcome, detail in tally.examples:
        last = detail.strip().splitlines()[-1][:80] if detail.strip() else outcome
        if last not in seen and len(seen) < examples:
            seen.add(last)
            print(f"-- {name} {number}: {outcome}\n{detail}", flush=True)


if __name__ == "__main__":
    main()
