"""A binary for several chips: which ones it has code for.

The provider writes such a binary as a ZIP file with one entry of code for each chip, `htp.cache.sm8650.0`, and the
weights once (seen with onnxruntime-qnn 2.7.0). It has no session that executes it on a workstation: the provider opens
it in its mode for preparation only, and refuses graphs that share weights with other graphs in it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from targets.errors import ExecutionError
from targets.snapdragon.socs import HtpSoc

_CODE = "htp.cache."


def require_chips(binary: Path, socs: Sequence[HtpSoc]) -> None:
    """Checks that a binary has code for exactly these chips.

    Raises:
        ExecutionError: It is no such binary, or has code for other chips.
    """
    try:
        with zipfile.ZipFile(binary) as container:
            names = container.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ExecutionError(
            "this is not a binary for several chips",
            where=str(binary),
            received=str(error),
            remedy="compile the model again",
        ) from error
    found = {name.removeprefix(_CODE).split(".")[0].upper() for name in names if name.startswith(_CODE)}
    if found != {soc.model for soc in socs}:
        raise ExecutionError(
            "the binary does not have code for the chips it was made for",
            where=str(binary),
            received=", ".join(sorted(found)) or "no chip",
            remedy=f"compile the model again for {', '.join(soc.model for soc in socs)}",
        )
