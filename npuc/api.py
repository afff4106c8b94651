"""What `import npuc` offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.sources.examine import examine_source
from exporter.sources.locate import require_model, require_text
from npuc.artifact.output_folder import require_replaceable
from npuc.caching.cache import Cache
from npuc.compile_job import CompileJob
from npuc.errors import UsageError
from npuc.machine.memory_limit import memory_bound
from npuc.settings.input_shapes import with_input_shapes
from npuc.settings.recipe import Recipe
from npuc.settings.recipe_file import load_recipe, tier_recipe
from npuc.settings.training_settings import with_training
from npuc.terminal.progress import ProgressReporter, SilentReporter
from targets.contract.registry import npu_format_names
from targets.devices.catalogue import default_device, find_device
from targets.devices.device import Device

if TYPE_CHECKING:
    from npuc.artifact.artifact import Artifact


def compile_model(
    model: str | Path,
    *,
    device: str | None = None,
    tier: str | None = None,
    target: str | None = None,
    out: str | Path,
    recipe: str | Path | Recipe | None = None,
    npu: str | None = None,
    also_devices: Sequence[str] = (),
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    calibration: str | Path | None = None,
    qat: Mapping[str, object] | None = None,
    data: str | Path | None = None,
    dump_ir: str | Path | None = None,
    accept_precision_loss: bool = False,
    memory_limit: str | None = None,
    reporter: ProgressReporter | None = None,
) -> Artifact:
    """Compiles a model for a device, executes the result and compares it with the source.

    Args:
        model: `demo`, a Hugging Face folder, `file.py:function`, a `.pt2` or an `.onnx` file.
        device: Device id or TOML file. Without one, `tier` and `target` choose the device.
        tier: Tier whose recipe is used; the device's own where not given.
        target: Family of devices, with `tier`.
        out: Folder of the artifact; replaced if it is one already.
        recipe: Recipe, or the path of one, instead of the tier's.
        npu: What the NPU computes in, instead of the recipe's word: `auto`, `cpu`, or a number format
            of the device's NPU such as `float16` and `a16w8`.
        also_devices: Ids of further devices whose chips the NPU binaries also have code for.
        input_shapes: Shapes of inputs that an ONNX file leaves open, by name.
        calibration: Recorded inputs of a model without preprocessing, an .npz file or a folder of them.
        qat: Keys of the recipe's section [qat], such as `{"steps": 200}`: fine-tunes after quantisation.
        data: Manifest of training data, for the sections [qat], [distill] and [prune].
        dump_ir: Folder for the graph after each pass.
        accept_precision_loss: Write the artifact even if its number formats lose more than the gates allow; it
            says so.
        memory_limit: What each process may allocate, such as `8G`; by default what the machine has free.
        reporter: Is told about progress.

    Returns:
        The artifact, which can be run.

    Raises:
        DiagnosticError: Anything a user can act on; see docs/exit-codes.md.
    """
    chosen = _device(device, tier, target)
    chosen_recipe = with_input_shapes(
        _with_npu(_recipe(recipe, tier or chosen.tier), npu), input_shapes or {}
    )
    chosen_recipe = _with_calibration(chosen_recipe, calibration)
    job = CompileJob(
        model=str(model),
        device=chosen,
        tier=tier or chosen.tier,
        recipe=with_training(_with_devices(chosen_recipe, also_devices), qat, data),
        out=Path(out),
        dump_folder=Path(dump_ir) if dump_ir is not None else None,
        reporter=reporter or SilentReporter(),
        cache=Cache(),
        accept_precision_loss=accept_precision_loss,
    )
    require_text(str(job.out))
    require_replaceable(job.out)
    require_model(job.model)
    with memory_bound(memory_limit, examine_source(job.model)):
        # what is wrong with the command line or the model is said before graph libraries are imported
        from npuc.pipeline import run_job

        return run_job(job)


def job_settings(
    device: str,
    recipe: str | Path | None = None,
    npu: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> tuple[Device, Recipe]:
    """Returns device and recipe as `compile_model` would choose them.

    Args:
        device: Device id or TOML file.
        recipe: Path of a recipe, instead of the device's tier's.
        npu: What the NPU computes in, instead of the recipe's word.
        input_shapes: Shapes of inputs that an ONNX file leaves open, by name.
    """
    chosen = _device(device, None, None)
    return chosen, with_input_shapes(_with_npu(_recipe(recipe, chosen.tier), npu), input_shapes or {})


def load(folder: str | Path) -> Artifact:
    """Opens an artifact."""
    from npuc.artifact.artifact import Artifact

    return Artifact(folder)


def _device(device: str | None, tier: str | None, target: str | None) -> Device:
    if device is not None:
        found = find_device(device)
        if target is not None and target != found.target:
            raise UsageError(
                "--device and --target contradict each other",
                received=f"device {found.id} has target {found.target}, not {target}",
                remedy="leave --target out",
            )
        return found
    if tier is None or target is None:
        raise UsageError(
            "no device named", remedy="give --device ID (see `npuc devices`), or both --tier and --target"
        )
    return default_device(tier, target)  # type: ignore[arg-type]


def _with_npu(recipe: Recipe, npu: str | None) -> Recipe:
    if npu is None:
        return recipe
    known = ("auto", "cpu", *npu_format_names())
    if npu not in known:
        raise UsageError("no such NPU format", received=npu, remedy=f"use one of {', '.join(known)}")
    return recipe.with_values("precision", npu=npu)


def _with_calibration(recipe: Recipe, inputs: str | Path | None) -> Recipe:
    return recipe if inputs is None else recipe.with_values("calibration", inputs=str(inputs))


def _with_devices(recipe: Recipe, also_devices: Sequence[str]) -> Recipe:
    return recipe.with_values("npu", also_devices=tuple(also_devices)) if also_devices else recipe


def _recipe(recipe: str | Path | Recipe | None, tier: str) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return tier_recipe(tier) if recipe is None else load_recipe(Path(recipe))
