"""Schedule of matrix products and convolutions.

TVM's default loop nest runs the reduction innermost and scalar: 0.4 GFLOP/s. Here a tile of a few rows by one or more
vectors of columns is accumulated in registers while the reduction runs outside of it, and whatever follows the
product (rounding, bias, activation) is applied to the tile before it is written.
"""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

CONTRACTION = "contraction"
"""Block of a product; its last axes are rows and columns of the result."""

PARTIAL = "partial_contraction"
"""Block of per-lane sums that feeds it; its last axis is the lane."""

_ROWS = (4, 3, 2)
_COLUMNS_OF_ONE_ROW = (64, 32, 16, 8, 4)
_COLUMNS_OF_MANY_ROWS = (16, 8, 4)


def schedule_tile(schedule: s_tir.Schedule, block: Any, epilogue: Any | None) -> None:
    """Schedules a product whose right operand has its columns adjacent in memory: vectorises along them.

    Args:
        schedule: Of a function whose other blocks are inlined already.
        block: The product's reduction block.
        epilogue: The block that consumes it, of the same iteration space; none if the product is the result.
    """
    rank = _spatial_rank(schedule, block)
    loops = schedule.get_loops(epilogue if epilogue is not None else block)
    extents = [int(schedule.get(loop).extent) for loop in loops]
    row_axis = rank - 2
    rows = _largest_divisor(extents[row_axis], _ROWS)
    columns = _largest_divisor(extents[rank - 1], _COLUMNS_OF_MANY_ROWS if rows > 1 else _COLUMNS_OF_ONE_ROW)
    column_outer, column = schedule.split(loops[rank - 1], [None, columns])
    row_outer, row = schedule.split(loops[row_axis], [None, rows])
    depth = loops[rank:]
    # columns outside rows: the panel of the right operand stays in the cache while all rows use it
    schedule.reorder(*loops[:row_axis], column_outer, row_outer, *depth, row, column)
    if epilogue is not None:
        schedule.compute_at(block, row_outer, preserve_unit_loops=True)
        _spread(schedule, row, column)
        own = schedule.get_loops(block)[rank:]
        depth, (row, column) = own[rank:], own[rank - 2 : rank]
        schedule.reorder(*depth, row, column)
    _spread(schedule, row, column)
    schedule.decompose_reduction(block, depth[0])


def schedule_lanes(schedule: s_tir.Schedule, partial: Any, block: Any, epilogue: Any | None) -> None:
    """Schedules a product whose right operand has its depth adjacent in memory: vectorises the partial sums.

    Args:
        schedule: Of a function whose other blocks are inlined already.
        partial: The block of per-lane sums.
        block: The block that adds them.
        epilogue: The block that consumes the product; none if the product is the result.
    """
    rank = _spatial_rank(schedule, block)
    anchor = schedule.get_loops(epilogue if epilogue is not None else block)[rank - 1]
    if epilogue is not None:
        schedule.compute_at(block, anchor, preserve_unit_loops=True)
    schedule.compute_at(partial, anchor, preserve_unit_loops=True)
    lane, depth = schedule.get_loops(partial)[-2:]
    schedule.reorder(depth, lane)
    schedule.vectorize(lane)
    schedule.decompose_reduction(partial, depth)


def _largest_divisor(extent: int, choices: tuple[int, ...]) -> int:
    return next((choice for choice in choices if extent % choice == 0), 1)


def _spatial_rank(schedule: s_tir.Schedule, block: Any) -> int:
    kinds = [int(variable.iter_type) for variable in schedule.get(block).iter_vars]
    return kinds.count(int(tirx.IterVar.DataPar))


def _spread(schedule: s_tir.Schedule, row: Any, column: Any) -> None:
    schedule.unroll(row)
    schedule.vectorize(column)
