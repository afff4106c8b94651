"""Schedule of matrix products and convolutions.

TVM's default loop nest runs the reduction innermost and scalar: 0.4 GFLOP/s. Here a tile of a few rows by one or more
vectors of columns is accumulated in registers while the reduction runs outside of it, and whatever follows the
product (rounding, bias, activation) is applied to the tile before it is written.
"""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

_ROWS = (4, 3, 2)
_COLUMNS_OF_ONE_ROW = (64, 32, 16, 8, 4)
_COLUMNS_OF_MANY_ROWS = (16, 8, 4)
_DEPTH_LANES = (16, 8, 4)
CONTRACTION_PREFIX = "contraction"
ROW_MAJOR_DEPTH = "contraction_matmul_rows"


def schedule_contraction(schedule: s_tir.Schedule, block: Any, epilogue: Any | None) -> None:
    """Schedules one product.

    Args:
        schedule: Of a function whose other blocks are inlined already.
        block: The product's reduction block.
        epilogue: The block that consumes it, of the same iteration space; none if the product is the result.
    """
    if schedule.get(block).name_hint.startswith(ROW_MAJOR_DEPTH):
        _schedule_dot(schedule, block, epilogue)
    else:
        _schedule_tile(schedule, block, epilogue)


def _largest_divisor(extent: int, choices: tuple[int, ...]) -> int:
    return next((choice for choice in choices if extent % choice == 0), 1)


def _spatial_rank(schedule: s_tir.Schedule, block: Any) -> int:
    kinds = [int(variable.iter_type) for variable in schedule.get(block).iter_vars]
    return kinds.count(int(tirx.IterVar.DataPar))


def _extent(schedule: s_tir.Schedule, loop: Any) -> int:
    return int(schedule.get(loop).extent)


def _schedule_tile(schedule: s_tir.Schedule, block: Any, epilogue: Any | None) -> None:
    """Columns of the right operand are adjacent in memory: vectorise along them."""
    rank = _spatial_rank(schedule, block)
    loops = schedule.get_loops(epilogue if epilogue is not None else block)
    row_axis = rank - 2 if rank >= 2 else None
    rows = _largest_divisor(_extent(schedule, loops[row_axis]), _ROWS) if row_axis is not None else 1
    widths = _COLUMNS_OF_MANY_ROWS if rows > 1 else _COLUMNS_OF_ONE_ROW
    columns = _largest_divisor(_extent(schedule, loops[rank - 1]), widths)
    column_outer, column_inner = schedule.split(loops[rank - 1], [None, columns])
    inner = [column_inner]
    outer = [*loops[: rank - 1], column_outer]
    if row_axis is not None:
        row_outer, row_inner = schedule.split(loops[row_axis], [None, rows])
        outer = [*loops[:row_axis], column_outer, row_outer]
        inner = [row_inner, column_inner]
    depth = loops[rank:]
    schedule.reorder(*outer, *depth, *inner)
    if epilogue is None:
        _vectorise(schedule, inner)
        schedule.decompose_reduction(block, depth[0])
        return
    schedule.compute_at(block, outer[-1])
    _vectorise(schedule, inner)
    own = schedule.get_loops(block)[len(outer) :]
    own_spatial, own_depth = own[: len(inner)], own[len(inner) :]
    schedule.reorder(*own_depth, *own_spatial)
    _vectorise(schedule, own_spatial)
    schedule.decompose_reduction(block, own_depth[0])


def _vectorise(schedule: s_tir.Schedule, inner: list[Any]) -> None:
    schedule.vectorize(inner[-1])
    for loop in inner[:-1]:
        schedule.unroll(loop)


def _schedule_dot(schedule: s_tir.Schedule, block: Any, epilogue: Any | None) -> None:
    """The reduction runs along memory: keep one partial sum a lane, add the lanes at the end."""
    depth = schedule.get_loops(block)[-1]
    lanes = _largest_divisor(_extent(schedule, depth), _DEPTH_LANES)
    if lanes == 1:
        return
    _, lane = schedule.split(depth, [None, lanes])
    partial = schedule.rfactor(lane, factor_axis=_spatial_rank(schedule, block))
    anchor = schedule.get_loops(epilogue if epilogue is not None else block)[: _spatial_rank(schedule, block)][-1]
    if epilogue is not None:
        schedule.compute_at(block, anchor)
    schedule.compute_at(partial, anchor)
    own = schedule.get_loops(partial)
    lane_loop, depth_loop = own[-2], own[-1]
    if _is_reduction(schedule, partial, lane_loop):
        lane_loop, depth_loop = depth_loop, lane_loop
    schedule.reorder(depth_loop, lane_loop)
    schedule.vectorize(lane_loop)
    schedule.decompose_reduction(partial, depth_loop)


def _is_reduction(schedule: s_tir.Schedule, block: Any, loop: Any) -> bool:
    """Whether a loop is bound to the block's last (reduction) axis; the lane axis is the last spatial one."""
    variable = schedule.get(loop).loop_var
    realize = schedule.get_sref(block)
    del realize
    return variable.name.endswith("_0")
