"""What a model family provides: recognising its checkpoints, capturing them, running the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from program.program import Program, Runner, TensorSpec

Signatures = Mapping[str, tuple[TensorSpec, ...]]
"""Component name → specs of its inputs, as `Component.inputs`."""


class Family(Protocol):
    """An adapter for one family of models. It holds no state, and importing it must not import torch.

    Attributes:
        name: Key in `FAMILIES` and value of `Program.family`.
    """

    name: str

    def matches(self, config: Mapping[str, Any]) -> bool:
        """Whether a folder with this config.json belongs to the family."""
        ...

    def capture(self, folder: ModelFolder, options: CaptureOptions) -> Program:
        """Captures the model.

        Raises:
            ExportError: The configuration or the weights do not fit the family.
        """
        ...

    def runner(
        self, settings: Mapping[str, Any], assets: Mapping[str, bytes], signatures: Signatures
    ) -> Runner:
        """Builds the generation loop from what an artifact stores. Needs no torch.

        Args:
            settings: `Program.settings`.
            assets: `Program.assets`.
            signatures: Inputs of the components as they are now; a pass may have changed their element types.
        """
        ...
