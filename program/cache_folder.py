"""Where npuc keeps what it can make again: finished steps and vendors' tools."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def default_cache() -> Path:
    """Returns the cache folder: `NPUC_CACHE` where set, else the user's cache directory."""
    configured = os.environ.get("NPUC_CACHE")
    return Path(configured) if configured else Path(platformdirs.user_cache_dir("npuc"))
