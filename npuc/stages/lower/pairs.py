"""Which segments are compiled into one binary: prefill and decode of the same layers, which read the same weights."""

from __future__ import annotations

from npuc.artifact.weights_file import large_initializers
from npuc.stages.place.plan import Plan, Segment
from program.program import Role

_LEAST_SHARE = 0.5
"""Of the smaller segment's weights. Below it one binary would save little, and both have to be loaded together."""


def shared_segments(plan: Plan) -> list[tuple[Segment, Segment]]:
    """Returns pairs of a prefill and a decode segment of one NPU that share at least half of their weights.

    Sub-networks that are cut out of the same weights have tensors of their own, and pairs of their own.

    Args:
        plan: Large weights of its segments are bound to the weights file.
    """
    pairs = []
    open_decodes = _npu_segments(plan, Role.DECODE)
    for prefill in _npu_segments(plan, Role.PREFILL):
        shares = [(_share(prefill, decode), decode) for decode in open_decodes]
        share, decode = max(shares, key=lambda item: item[0], default=(0.0, prefill))
        if share >= _LEAST_SHARE:
            pairs.append((prefill, decode))
            open_decodes.remove(decode)
    return pairs


def _npu_segments(plan: Plan, role: Role) -> list[Segment]:
    entries = [entry for entry in plan.components.values() if entry.component.role is role]
    return [segment for entry in entries for segment in entry.segments if not segment.on_cpu]


def _share(one: Segment, other: Segment) -> float:
    """Bytes of the weights both read, as a share of the smaller segment's."""
    if one.processor != other.processor:
        return 0.0
    left, right = (_weights(segment) for segment in (one, other))
    common = sum(size for name, size in left.items() if name in right)
    return common / max(1, min(sum(left.values()), sum(right.values())))


def _weights(segment: Segment) -> dict[str, int]:
    tensors = large_initializers({segment.name: segment.component})
    return {name: tensor.nbytes for name, tensor in tensors.items()}
