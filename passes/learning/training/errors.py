"""What training refuses."""

from __future__ import annotations

from passes.core.errors import PassError


class TrainingError(PassError):
    """Settings, a checkpoint, data or a loss that training cannot go on with (exit code 2)."""

    exit_code = 2
