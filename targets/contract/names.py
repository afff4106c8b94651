"""What processors are called."""

from __future__ import annotations

import re

CPU = "cpu"
"""Processor name of the CPU cores: in manifests, and as the folder of their binaries."""

REFUSED = "refused"
"""What stands in the place of a processor where none runs a node."""

PROCESSOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""What a processor may be called: its name is a folder of artifacts."""

TAKEN_NAMES = frozenset({"assets", CPU, "device", "model", "npu", REFUSED, "training"})
"""Names of an artifact's other folders, and what else means something in a manifest."""
