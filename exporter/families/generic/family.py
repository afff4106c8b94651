"""The family of models that come as a single graph (a Python factory, a .pt2 or an .onnx file)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import ExportError
from exporter.families.family import Signatures
from exporter.families.generic.runner import GenericRunner
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from program.program import Program


class GenericFamily:
    """Has no checkpoint folders; its programs are made in `exporter.sources`."""

    name = "generic"

    def matches(self, config: Mapping[str, Any]) -> bool:  # noqa: ARG002 (protocol)
        """Never: a config.json says nothing about a graph."""
        return False

    def capture(self, folder: ModelFolder, options: CaptureOptions) -> Program:  # noqa: ARG002 (protocol)
        """Always raises.

        Raises:
            ExportError: A folder holds no graph.
        """
        raise ExportError(
            "a folder cannot be captured without a family",
            where=str(folder.path),
            remedy="name a file.py:function, a .pt2 or an .onnx file",
        )

    def runner(
        self,
        settings: Mapping[str, Any],  # noqa: ARG002 (protocol)
        assets: Mapping[str, bytes],  # noqa: ARG002 (protocol)
        signatures: Signatures,
    ) -> GenericRunner:
        """Runs the one component."""
        return GenericRunner(signatures)
