"""Coverage decisions as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from npuc.terminal.terminal import text_table
from targets.contract.names import REFUSED
from targets.placing.coverage import Coverage


def coverage_json(coverages: Iterable[Coverage]) -> dict[str, Any]:
    """Returns every decision as JSON-able data: component → nodes in graph order."""
    return {
        coverage.component: [
            {
                "node": row.node,
                "operator": row.op_type,
                "on": str(row.placement),
                "reason": row.reason,
                "remedy": row.remedy,
            }
            for row in coverage.nodes
        ]
        for coverage in coverages
    }


def coverage_table(coverages: Iterable[Coverage]) -> Table:
    """Returns one row for each component, operator, processor and reason; every refused node has a remedy."""
    table = text_table("where each node runs")
    for column in ("component", "operator", "nodes", "on", "why", "to do"):
        table.add_column(column, justify="right" if column == "nodes" else "left", overflow="fold")
    for coverage in coverages:
        rows = Counter((row.placement, row.op_type, row.reason, row.remedy) for row in coverage.nodes)
        for (placement, operator, reason, remedy), count in sorted(rows.items(), key=_order):
            style = "red" if placement == REFUSED else None
            table.add_row(
                coverage.component, operator, str(count), str(placement), reason, remedy, style=style
            )
    return table


def _order(item: tuple[tuple[str, str, str, str], int]) -> tuple[bool, str, str]:
    (placement, operator, _, _), _ = item
    return placement != REFUSED, str(placement), operator
