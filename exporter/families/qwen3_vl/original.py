"""Qwen3-VL as its authors published it: the unmodified modules of transformers, where that package is installed."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Any

from exporter.files.weights import Bind
from program.program import Executor, Original

_COMPONENTS = ("vision_encoder", "embedding", "prefill", "decode")
_MAJOR = "5."
"""transformers 4 builds its rotary tables from other arguments."""


def original_model(config: Mapping[str, Any], grid: tuple[int, int], bind: Bind) -> Original:
    """The openers of the four components. transformers is imported when one is called.

    Args:
        config: The content of config.json; `parse_config` has accepted it.
        grid: Patches per column and per row of the captured picture.
        bind: Gives the tensor for each parameter, by the name it has in transformers.

    Returns:
        Openers that raise ExportError where config.json or a weight does not fit transformers' module; none, and the
        reason, where no fitting transformers is installed.
    """
    version = _installed_version()
    if version is None:
        return Original(missing="transformers is not installed")
    if not version.startswith(_MAJOR):
        return Original(missing=f"transformers {version} is installed, {_MAJOR}x is needed")
    openers = {name: functools.partial(_open, name, config, grid, bind) for name in _COMPONENTS}
    return Original(f"transformers {version}, layer by layer", openers)


def _installed_version() -> str | None:
    try:
        # a mere folder of this name in the working directory is a package to Python, but has no version
        version = importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        return None
    return version if importlib.util.find_spec("transformers") is not None else None


def _open(name: str, config: Mapping[str, Any], grid: tuple[int, int], bind: Bind) -> Executor:
    from exporter.families.qwen3_vl.stock_model import open_component

    return open_component(name, config, grid, bind)
