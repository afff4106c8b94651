"""Names the first operator at which a segment's binary leaves its reference graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.program import Feeds
from npuc.agreement import Bound
from targets.snapdragon.htp.divergence import first_divergence
from targets.snapdragon.socs import find_htp_soc


def explain_disagreement(
    processor: str, binding: Mapping[str, str], reference: Path, feeds: Sequence[Feeds], bound: Bound
) -> str:
    """Looks into a segment that failed its bound.

    Args:
        processor: Of the segment.
        binding: Of the segment.
        reference: Its graph.
        feeds: What it was fed.
        bound: The bound it failed.

    Returns:
        One line; empty where nothing can be said.
    """
    if processor != "htp" or bound.min_sqnr is None:
        return ""
    soc = find_htp_soc(binding["soc_model"])
    found = first_divergence(reference, soc, feeds, bound.min_sqnr)
    return (
        f"the first operator that diverges: {found}" if found is not None else "no single operator diverges"
    )
