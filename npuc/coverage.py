"""Where every node of a model would run on a device, without compiling anything and without the vendor's tool."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from npuc.caching.cache import Cache
from npuc.settings.recipe import Recipe
from npuc.stages.capture.prepare import prepare
from npuc.stages.capture.prepare_job import PrepareJob
from npuc.stages.place.scheme import choose_format
from npuc.stages.place.several_devices import choose_processors, wants_float
from npuc.terminal.progress import ProgressReporter
from targets.contract.registry import find_target
from targets.devices.device import Device

if TYPE_CHECKING:
    from targets.placing.coverage import Coverage


def model_coverage(
    model: str, device: Device, recipe: Recipe, reporter: ProgressReporter, cache: Cache
) -> list[Coverage]:
    """Prepares a model and places each node of every component.

    Args:
        model: As for `npuc compile`.
        device: Device to place for.
        recipe: Every setting.
        reporter: Is told about progress.
        cache: Finished work.

    Raises:
        DiagnosticError: The model, recipe or device does not allow it.
    """
    target = find_target(device.target)
    processors = choose_processors(recipe, device, needs_tools=False)
    choice = choose_format(recipe, processors.preferred, device, needs_tool=False)
    source = PrepareJob(model, recipe, None, reporter, cache, keeps_float=wants_float(processors, choice))
    with tempfile.TemporaryDirectory(prefix="npuc-coverage-") as name:
        prepared = prepare(source, Path(name))
        components, accelerators = prepared.program.components, processors.accelerators
        if processors.preferred is None or choice.format is None:
            return [target.partition(component, device) for component in components.values()]
        # not before the model is read: whoever names a wrong one is told at once
        from npuc.stages.place.npu_program import NpuProgramJob, npu_program
        from targets.placing.placement import place_component

        job = NpuProgramJob(source, prepared, device, accelerators, choice)
        components = npu_program(job, Path(name)).components
        return [place_component(c, accelerators, target.partition(c, device)) for c in components.values()]
