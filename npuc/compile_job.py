"""What a compile is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from npuc.caching.cache import Cache
from npuc.settings.recipe import Recipe
from npuc.terminal.progress import ProgressReporter
from targets.devices.device import Device


@dataclasses.dataclass(frozen=True)
class CompileJob:
    """What to compile, for what, and where to.

    Attributes:
        model: As the user named it.
        device: Device to compile for.
        tier: Tier whose recipe was chosen.
        recipe: Every setting.
        out: Folder of the artifact.
        dump_folder: Where `--dump-ir` writes, or None.
        reporter: Is told about progress.
        cache: Finished work of earlier compiles.
        accept_precision_loss: Whether to write an artifact whose number formats lose more than the gates allow.
    """

    model: str
    device: Device
    tier: str
    recipe: Recipe
    out: Path
    dump_folder: Path | None
    reporter: ProgressReporter
    cache: Cache
    accept_precision_loss: bool = False
