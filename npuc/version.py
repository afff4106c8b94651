"""Versions that decide what an artifact looks like."""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, version

from npuc.errors import ResourceError

SCHEMA_VERSION = 6
"""Version of the manifest; raised with every change that an older npuc could not read."""

TOOLS = (
    "apache-tvm",
    "ml-dtypes",
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "onnxscript",
    "torch",
    "ziglang",
)

OPTIONAL = ("transformers",)
"""Packages that run a model as it was given; without them it is not compared."""


def npuc_version() -> str:
    """Returns the installed version of npuc.

    Raises:
        ResourceError: npuc is imported from a checkout that was not installed.
    """
    try:
        return version("npuc")
    except PackageNotFoundError as error:
        raise ResourceError(
            "npuc is not installed", remedy="run `make setup`, or `pip install -e .`"
        ) from error


def tool_versions() -> dict[str, str]:
    """Returns the versions of the packages that shape an artifact's bytes."""
    return {name: version(name) for name in TOOLS}


def optional_versions() -> dict[str, str]:
    """Returns the versions of packages that answer for a model where they are installed."""
    versions = {}
    for name in OPTIONAL:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
