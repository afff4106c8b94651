"""Runs the standard's own tests of single operators through npuc and writes what became of them, by operator.

    python -m benchmarks.onnx_conformance [--operator Clip] [--test test_clip] [--results FILE] [--workers 1]

Every model of `onnx.backend.test` with tensors of static shapes is compiled for the CPU of a device in float32, run in
emulation on the test's own inputs and compared with its expected outputs; once as it is, and once with all inputs but
the first float one as constants. With `--results`, finished cases are kept in a file and not run again.
The table of the whole run goes to docs/results/onnx-conformance.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.conformance.cases import Case, cases
from benchmarks.conformance.check import INTERNAL, REFUSED, WRONG, Outcome, check
from benchmarks.conformance.table import NOT_APPLICABLE, Row, totals, write_table
from targets.devices.catalogue import find_device

TABLE = Path(__file__).parents[1] / "docs" / "results" / "onnx-conformance.md"
DEVICE = "vivo-x200"


def main() -> None:
    """Checks all cases, prints what is not right, and writes the table of a whole run."""
    arguments = _arguments()
    chosen = list(cases(arguments.operator, arguments.test))
    done = _read(arguments.results)
    rows = []
    for number, row in enumerate(_rows(chosen, done, arguments), 1):
        rows.append(row)
        if row.kind in (WRONG, INTERNAL) or (row.kind == REFUSED and arguments.refusals):
            print(f"{row.kind}: {row.operator}: {row.test}, {row.variant}: {row.detail}", flush=True)
        if number % 100 == 0:
            print(f"{number} of {len(chosen)}: {totals(rows)}", flush=True)
    print(totals(rows))
    if not (arguments.operator or arguments.test):
        write_table(rows, TABLE, DEVICE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operator", action="append", default=[], help="only this operator; may be repeated")
    parser.add_argument("--test", action="append", default=[], help="only this test; may be repeated")
    parser.add_argument("--results", type=Path, help="keeps finished cases, and goes on from them")
    parser.add_argument("--refusals", action="store_true", help="print refusals too")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--limit", type=int, default=120, help="seconds a case may take (default: 120)")
    return parser.parse_args()


def _rows(chosen: Sequence[Case], done: dict[str, Row], arguments: argparse.Namespace) -> Iterator[Row]:
    open_cases = [case for case in chosen if case.key not in done and not case.excluded]
    outcomes = _outcomes(open_cases, arguments)
    for case in chosen:
        if case.excluded:
            yield Row(case.operator, case.name, case.variant, NOT_APPLICABLE, case.excluded)
        elif case.key in done:
            yield done[case.key]
        else:
            outcome = next(outcomes)
            row = Row(case.operator, case.name, case.variant, outcome.kind, outcome.detail, outcome.seconds)
            _append(arguments.results, row)
            yield row


def _outcomes(open_cases: Sequence[Case], arguments: argparse.Namespace) -> Iterator[Outcome]:
    """One outcome a case, in order. A process that dies takes the case it was at with it, not the run."""
    run = functools.partial(check, device=find_device(DEVICE), limit_s=arguments.limit)
    position = 0
    while position < len(open_cases):
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
            ahead = itertools.islice(open_cases, position, None)
            futures = [pool.submit(run, case) for case in ahead]
            try:
                for future in futures:
                    outcome = future.result()
                    position += 1
                    yield outcome
            except concurrent.futures.process.BrokenProcessPool:
                position += 1
                yield Outcome(INTERNAL, "the process died")


def _read(path: Path | None) -> dict[str, Row]:
    if path is None or not path.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    return {f"{row.test} {row.variant}": row for row in rows}


def _append(path: Path | None, row: Row) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(row)) + "\n")


if __name__ == "__main__":
    main()
