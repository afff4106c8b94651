"""What `import npuc` offers."""

from __future__ import annotations

from pathlib import Path

from npuc.artifact import Artifact
from npuc.cache import Cache
from npuc.errors import UsageError
from npuc.pipeline import CompileJob, run_job
from npuc.progress import ProgressReporter, SilentReporter
from npuc.recipe import Recipe, load_recipe, tier_recipe
from targets.catalogue import default_device, find_device
from targets.device import Device


def compile_model(
    model: str | Path,
    *,
    device: str | None = None,
    tier: str | None = None,
    target: str | None = None,
    out: str | Path,
    recipe: str | Path | Recipe | None = None,
    dump_ir: str | Path | None = None,
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
        dump_ir: Folder for the graph after each pass.
        reporter: Is told about progress.

    Returns:
        The artifact, which can be run.

    Raises:
        DiagnosticError: Anything a user can act on; see docs/exit-codes.md.
    """
    chosen = _device(device, tier, target)
    job = CompileJob(
        model=str(model),
        device=chosen,
        tier=tier or chosen.tier,
        recipe=_recipe(recipe, tier or chosen.tier),
        out=Path(out),
        dump_folder=Path(dump_ir) if dump_ir is not None else None,
        reporter=reporter or SilentReporter(),
        cache=Cache(),
    )
    return run_job(job)


def load(folder: str | Path) -> Artifact:
    """Opens an artifact."""
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


def _recipe(recipe: str | Path | Recipe | None, tier: str) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return tier_recipe(tier) if recipe is None else load_recipe(Path(recipe))
