"""Channels are put in order of importance and nested sub-networks are trained together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.families.multimodal_transformer.config import MODEL_TYPE
from exporter.files.model_folder import ModelFolder
from exporter.sources.locate import model_path
from npuc.artifact.training_curves import SUBNETWORKS
from npuc.demo.training_requests import training_requests
from npuc.demo.transfer import FILE as TRANSFER_FILE
from npuc.settings.recipe import Prune
from npuc.stages.capture.observe import draw_requests, record_feeds
from npuc.stages.learn.teach import teach
from npuc.stages.learn.training_data import manifest_requests
from npuc.terminal.progress import ProgressReporter
from passes.learning.pruning.dependencies import Dependencies, Group
from passes.learning.pruning.dependencies import analyse as analyse_dependencies
from passes.learning.pruning.importance import Importance, Scores, activation_norm
from passes.learning.pruning.lead_heads import lead_heads
from passes.learning.pruning.plan import Loss, PlanOptions, prunable
from passes.learning.pruning.taylor import taylor
from passes.learning.subnetworks.nested import (
    Subnetwork,
    nested_groups,
    order_channels,
    plan_subnetworks,
    subnetwork_remarks,
)
from passes.learning.subnetworks.sensitivity import (
    MOST_OPERATIONS,
    forecast_operations,
    measure_loss,
    unmeasured_remark,
)
from passes.learning.subnetworks.train import SubnetworkOptions, subnetwork_training_remark, train_subnetworks
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.loss_curve import LossCurve
from passes.learning.training.recording import Recording
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program, Request
from program.remark import Remark

_IMPORTANCE_REQUESTS = 64
"""Requests of the training data that importance is measured on."""

_QUESTIONS = 6
"""Asked on each picture and sound of the bundled model's training data: one of each kind."""


@dataclasses.dataclass(frozen=True)
class PruneJob:
    """What to prune.

    Attributes:
        model: As the user named it.
        settings: The recipe's section [prune].
        reporter: Is told about progress.
        checkpoints: Where training keeps what it needs to go on after an interruption, or None.
        augmenter: Changes examples of the training data, or None.
    """

    model: str
    settings: Prune
    reporter: ProgressReporter
    checkpoints: Path | None = None
    augmenter: Augmenter | None = None


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What the stage decided.

    Attributes:
        subnetworks: From the largest to the smallest.
        remarks: Widths, and what training did.
        curve: Losses of training; None where the recipe wants no training.
    """

    subnetworks: tuple[Subnetwork, ...]
    remarks: tuple[Remark, ...]
    curve: LossCurve | None


def prune_program(job: PruneJob, program: Program, feeds: Mapping[str, Sequence[Feeds]]) -> Pruned:
    """Orders and trains a normalised program in place.

    Args:
        job: What to prune.
        program: Float graphs.
        feeds: What its components were fed in calibration; requests to train with, where there are any, take its place.

    Raises:
        PassError: A share of the operations is out of reach, training diverged, or its data is not usable.
    """
    settings = job.settings
    requests = _requests(job, program) if settings.steps or settings.data is not None else ()
    options = PlanOptions(keep_cache=settings.keep_cache, least=settings.least_width)
    dependencies, groups, scores = _order(job, program, requests, feeds, options)
    recordings = teach(program, requests, job.reporter) if settings.steps else []
    loss, remarks = _allocation(job, program, dependencies, groups, recordings, options)
    shares = {subnetwork.name: subnetwork.operations for subnetwork in settings.subnetworks}
    subnetworks = plan_subnetworks(dependencies, groups, loss or scores, shares, options)
    remarks += subnetwork_remarks(subnetworks, groups)
    curve = None
    if recordings and any(subnetwork.widths for subnetwork in subnetworks):
        curve, subnetworks = _train(job, program, dependencies, subnetworks, recordings)
        remarks.append(subnetwork_training_remark(curve, _training(job)))
        first, last = remarks[-1].numbers["loss_first"], remarks[-1].numbers["loss_last"]
        job.reporter.note(f"training of sub-networks: loss {first:.4g} at first, {last:.4g} at last")
    return Pruned(tuple(subnetworks), tuple(remarks), curve)


def _order(
    job: PruneJob,
    program: Program,
    requests: Sequence[Request],
    feeds: Mapping[str, Sequence[Feeds]],
    options: PlanOptions,
) -> tuple[Dependencies, list[Group], Importance]:
    """Sorts the channels of every group that may be narrowed; returns the groups as they are now, and their scores."""
    with job.reporter.phase("importance", 1) as advance:
        dependencies = analyse_dependencies(program)
        if lead_heads(program, dependencies, prunable(dependencies, options)):
            dependencies = analyse_dependencies(program)
        if requests:
            feeds = record_feeds(program, _executors(program), draw_requests(requests, _IMPORTANCE_REQUESTS))
        scores = _importance(job.settings, program, dependencies, feeds)
        names = {group.name for group in nested_groups(dependencies, options)}
        chosen = [group for group in dependencies.groups if group.name in names]
        dependencies = order_channels(program, dependencies, chosen, scores)
        advance(1, 0)
    # the groups as they are after ordering: same names, other dimensions
    return dependencies, [group for group in dependencies.groups if group.name in names], scores


def _allocation(
    job: PruneJob,
    program: Program,
    dependencies: Dependencies,
    groups: Sequence[Group],
    recordings: Sequence[Recording],
    options: PlanOptions,
) -> tuple[Loss | None, list[Remark]]:
    """Measures what narrowing costs; None where importance decides, and the reason if the recipe wants otherwise."""
    if job.settings.allocation != "measured" or not recordings:
        return None, []
    forecast = forecast_operations(dependencies, groups, recordings, options)
    if forecast > MOST_OPERATIONS:
        remark = unmeasured_remark(forecast)
        job.reporter.note(f"sub-networks: {remark.what}; {remark.why}")
        return None, [remark]
    with job.reporter.phase("sensitivity", 1) as advance:
        loss = measure_loss(program, dependencies, groups, recordings, options)
        advance(1, 0)
    return loss, []


def _importance(
    settings: Prune,
    program: Program,
    dependencies: Dependencies,
    feeds: Mapping[str, Sequence[Feeds]],
) -> dict[str, Scores]:
    if settings.criterion == "activation_norm":
        return activation_norm(program, dependencies, feeds)
    return taylor(program, dependencies, feeds)


def _requests(job: PruneJob, program: Program) -> tuple[Request, ...]:
    """Returns requests of the training data, else the model folder's own, else the calibration requests."""
    settings = job.settings
    if settings.data is not None:
        return tuple(
            manifest_requests(program, settings.data, settings.requests, settings.seed, job.augmenter)
        )
    path = model_path(job.model)
    if program.family == MODEL_TYPE and (path / TRANSFER_FILE).is_file():
        return training_requests(ModelFolder(path), settings.requests, settings.seed, _QUESTIONS)
    return tuple(program.requests[: settings.requests])


def _executors(program: Program) -> dict[str, OnnxExecutor]:
    return {name: OnnxExecutor(component.model) for name, component in program.components.items()}


def _training(job: PruneJob) -> SubnetworkOptions:
    settings = job.settings
    return SubnetworkOptions(
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
        hidden_weight=settings.hidden_weight,
        keep_full=settings.keep_full,
        checkpoints=None if job.checkpoints is None else job.checkpoints / SUBNETWORKS,
    )


def _train(
    job: PruneJob,
    program: Program,
    dependencies: Dependencies,
    subnetworks: Sequence[Subnetwork],
    recordings: Sequence[Recording],
) -> tuple[LossCurve, list[Subnetwork]]:
    options = _training(job)
    with job.reporter.phase("train", options.steps) as advance:
        return train_subnetworks(
            program, dependencies, subnetworks, recordings, options, lambda _point: advance(1, 0)
        )
