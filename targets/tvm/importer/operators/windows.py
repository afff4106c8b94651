"""Sliding windows of convolutions and pools: extents, padding, strides."""

from __future__ import annotations

import dataclasses

from targets.tvm.importer.node_call import NodeCall


@dataclasses.dataclass(frozen=True)
class Windows:
    """Geometry of a sliding window; every tuple has one entry for each spatial axis.

    Attributes:
        kernel: Window extent.
        strides: Step between windows.
        dilations: Step inside a window.
        before: Padding in front.
        after: Padding behind.
        output: Number of windows.
        trailing: `after`, enlarged so that the last window of a ceiling-mode pool lies inside.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    output: tuple[int, ...]
    trailing: tuple[int, ...]


def windows(call: NodeCall, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Windows:
    """Reads `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode` of a node.

    Formula of the output extent: ONNX operator Conv and MaxPool, ⌊(n + pads − d(k − 1) − 1)/s⌋ + 1.
    """
    rank = len(spatial)
    strides = call.integers("strides") or (1,) * rank
    dilations = call.integers("dilations") or (1,) * rank
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    before, after = _padding(call, spatial, spans, strides)
    output, trailing = [], []
    for n, span, step, front, back in zip(spatial, spans, strides, before, after, strict=True):
        room = n + front + back - span
        count = room // step + 1
        if call.integer("ceil_mode", 0):
            count = -(-room // step) + 1
            count -= (count - 1) * step >= n + front  # a window that starts in the end padding is dropped
        output.append(count)
        trailing.append(max(back, (count - 1) * step + span - n - front))
    return Windows(kernel, strides, dilations, before, after, tuple(output), tuple(trailing))


def _padding(
    call: NodeCall, spatial: tuple[int, ...], spans: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank, mode = len(spatial), call.text("auto_pad", "NOTSET")
    if mode == "NOTSET":
        pads = call.integers("pads") or (0,) * (2 * rank)
        return pads[:rank], pads[rank:]
    if mode == "VALID":
        return (0,) * rank, (0,) * rank
    totals = [
        max((-(-n // step) - 1) * step + span - n, 0)
        for n, span, step in zip(spatial, spans, strides, strict=True)
    ]
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return (small, large) if mode == "SAME_UPPER" else (large, small)
