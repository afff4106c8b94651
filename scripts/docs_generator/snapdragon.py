"""The table of Qualcomm chips."""

from __future__ import annotations

from docs_generator.markdown import table
from targets.snapdragon.socs import HtpSoc, htp_socs

_HEADER = ("chip", "made for", "`soc_model`", "HTP", "VTCM", "float16", "source")


def htp_socs_table() -> str:
    """Returns one row for each chip npuc prepares HTP binaries for."""
    return table(_HEADER, [_row(soc) for soc in htp_socs()])


def _row(soc: HtpSoc) -> tuple[str, ...]:
    memory = f"{soc.vtcm_mib} MiB" if soc.vtcm_mib else "not published"
    float16 = "yes" if soc.float16 else f"no{': ' * bool(soc.note)}{soc.note}"
    return soc.model, soc.kind, str(soc.soc_model), f"v{soc.arch}", memory, float16, soc.source
