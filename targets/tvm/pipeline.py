"""Relax passes: fuse, schedule, plan memory statically."""

from __future__ import annotations

import tvm
from tvm import relax

from targets.tvm.schedule import schedule_module

_transform = relax.transform

_LONGEST_KERNEL = {"relax.FuseOps.max_depth": 16}
"""Operators in one kernel: the time to generate code for a kernel grows faster than its length."""


def lower_relax(module: tvm.IRModule, target: tvm.target.Target) -> tvm.IRModule:
    """Lowers an imported module to a sequence of kernel calls on planned storage.

    Args:
        module: One function `main` of kernel calls.
        target: LLVM target the kernels are for.

    Returns:
        `main` without data flow, each tensor in allocated storage, and the scheduled kernels.
    """
    with target, tvm.transform.PassContext(config=_LONGEST_KERNEL):
        fused = tvm.transform.Sequential(
            [
                _transform.AnnotateTIROpPattern(),
                _transform.FuseOps(),
                _transform.FuseTIR(),
                _transform.DeadCodeElimination(),
                _transform.RewriteDataflowReshape(),
            ]
        )(module)
        return tvm.transform.Sequential(
            [
                _transform.ToNonDataflow(),
                _transform.RemovePurityChecking(),
                _transform.CallTIRRewrite(),
                _transform.StaticPlanBlockMemory(),
            ]
        )(schedule_module(fused))
