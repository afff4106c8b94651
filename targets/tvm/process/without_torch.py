"""TVM without torch, which TVM's foreign function interface imports wherever it is installed, for two seconds more."""

from __future__ import annotations

import sys


def import_tvm() -> None:
    """Imports TVM as if torch were not installed, unless torch is imported already; it may be imported afterwards.

    Nothing here hands TVM a torch tensor. `tvm_ffi/__init__.py` imports torch first because of a conflict of symbols
    that it saw on Windows only.
    """
    if "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        import tvm  # noqa: F401
    finally:
        del sys.modules["torch"]
