"""Schedules the fused kernels of a module: inline what is cheap, tile and vectorise products."""

from __future__ import annotations

import math
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from targets.tvm.contraction_schedule import CONTRACTION, PARTIAL, schedule_lanes, schedule_tile

UNSCHEDULED = "npuc.unscheduled"
"""Function attribute: a product kept TVM's default loops because the schedule did not apply."""

_FUNCTION = "kernel"

_MOST_CHOICES = 3
"""Stages with a `Select` in one expression. A choice reads its argument more than once, and TVM's simplifier puts what
is bound in the place of each reading: generating code takes twice as long with each stage of LeakyRelu, and five times
with each of Sigmoid (0.27 s for 4 stages, 5.2 s for 8; 0.07 s for 2, 2.1 s for 4)."""


def schedule_module(module: tvm.IRModule) -> tvm.IRModule:
    """Schedules each kernel; a kernel no rule applies to keeps its loops and stays correct."""
    functions = {}
    for variable, function in module.functions.items():
        functions[variable] = _scheduled(function) if isinstance(function, tirx.PrimFunc) else function
    return tvm.IRModule(functions, attrs=module.attrs)


def unscheduled_products(module: tvm.IRModule) -> list[str]:
    """Names of products that run with TVM's default loops."""
    return sorted(
        variable.name_hint
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc) and function.attrs and UNSCHEDULED in function.attrs
    )


def _scheduled(function: tirx.PrimFunc) -> tirx.PrimFunc:
    inlined = _inline(function)
    schedule = _open(inlined)
    blocks = {_name(schedule, block): block for block in _blocks(schedule)}
    if CONTRACTION not in blocks:
        return inlined
    product, partial = blocks.pop(CONTRACTION), blocks.pop(PARTIAL, None)
    if len(blocks) > 1:
        return inlined.with_attr(UNSCHEDULED, True)
    epilogue = next(iter(blocks.values()), None)
    try:
        if partial is None:
            schedule_tile(schedule, product, epilogue)
        else:
            schedule_lanes(schedule, partial, product, epilogue)
    except s_tir.ScheduleError:
        return inlined.with_attr(UNSCHEDULED, True)
    return _close(schedule, inlined)


def _open(function: tirx.PrimFunc) -> s_tir.Schedule:
    return s_tir.Schedule(tvm.IRModule({_FUNCTION: function.with_attr("global_symbol", _FUNCTION)}))


def _close(schedule: s_tir.Schedule, original: tirx.PrimFunc) -> tirx.PrimFunc:
    result = schedule.mod[_FUNCTION].without_attr("global_symbol")
    if original.attrs and "global_symbol" in original.attrs:
        result = result.with_attr("global_symbol", original.attrs["global_symbol"])
    return result


def _blocks(schedule: s_tir.Schedule) -> list[Any]:
    root = schedule.get_sblock("root", func_name=_FUNCTION)
    return list(schedule.get_child_blocks(root))


def _name(schedule: s_tir.Schedule, block: Any) -> str:
    return str(schedule.get(block).name_hint)


def _inline(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Inlines element-wise stages into their readers where that does not repeat much work."""
    schedule = _open(function)
    blocks = _blocks(schedule)
    choices = {_name(schedule, block): _has_choice(schedule, block) for block in blocks}
    for block in blocks:
        if not _is_worth_inlining(schedule, block):
            continue
        own = choices[_name(schedule, block)]
        readers = [_name(schedule, reader) for reader in schedule.get_consumers(block)]
        if own and any(choices[reader] + own > _MOST_CHOICES for reader in readers):
            continue
        try:
            schedule.compute_inline(block)
        except s_tir.ScheduleError:
            continue  # it writes the result, or is read in a form that cannot be substituted
        choices.update({reader: choices[reader] + own for reader in readers})
    return _unique_variables(_close(schedule, function))


def _has_choice(schedule: s_tir.Schedule, block: Any) -> int:
    """1 where the stage chooses between values, else 0."""
    found: list[tirx.Select] = []
    tvm_ffi.structural_walk(schedule.get(block).body, (tirx.Select, found.append))
    return int(bool(found))


def _unique_variables(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Renames the bindings of expressions that inlining has copied."""
    module = tirx.transform.ConvertSSA()(tvm.IRModule({_FUNCTION: function}))
    return module[_FUNCTION]


def _is_worth_inlining(schedule: s_tir.Schedule, block: Any) -> bool:
    if not _is_spatial(schedule, block):
        return False
    consumers = schedule.get_consumers(block)
    if not consumers:
        return False
    return all(_domain(schedule, consumer) <= 2 * _domain(schedule, block) for consumer in consumers)


def _is_spatial(schedule: s_tir.Schedule, block: Any) -> bool:
    return all(
        int(variable.iter_type) == int(tirx.IterVar.DataPar) for variable in schedule.get(block).iter_vars
    )


def _domain(schedule: s_tir.Schedule, block: Any) -> int:
    return math.prod(int(variable.dom.extent) for variable in schedule.get(block).iter_vars)
