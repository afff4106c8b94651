"""Stage 4b, where the recipe asks for it: the quantised program is fine-tuned towards the float program."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.program import Program, Request
from npuc.cache import content_key, file_sha256
from npuc.progress import ProgressReporter
from npuc.recipe import Qat, Recipe
from npuc.stages.teach import teach
from npuc.training_curves import write_curve
from passes.qat import QatOptions, qat_remark, train_quantized
from passes.remark import Remark
from passes.training.data.manifest import Manifest
from passes.training.data.read_example import read_example
from passes.training.data.sample import Sample
from passes.training.master_weights import FloatWeights, float_weights
from passes.training.recording import Recording

CURVE_NAME = "qat"
"""Of the loss curve's files."""


class QatStage:
    """Remembers the float program before it is quantised in place, and trains the quantised one afterwards.

    Args:
        program: Normalised program.
        settings: The recipe's section [qat].
        reporter: Is told about progress.

    Raises:
        TrainingError: The data manifest is not usable.
    """

    def __init__(self, program: Program, settings: Qat, reporter: ProgressReporter) -> None:
        self._settings = settings
        self._reporter = reporter
        self._weights: FloatWeights = float_weights(program)
        self._recordings: list[Recording] = teach(program, _requests(program, settings), reporter)

    def train(self, program: Program, folder: Path) -> list[Remark]:
        """Trains the program, quantised by now, in place.

        Args:
            program: The one given before.
            folder: Of the artifact; the loss curve goes to its `training/`.

        Returns:
            What training did.

        Raises:
            PassError: Training diverged, or an operator cannot be trained.
        """
        settings = self._settings
        options = QatOptions(
            settings.steps, settings.learning_rate, settings.batch_size, settings.seed, settings.learn_scales
        )
        with self._reporter.phase("train", settings.steps) as advance:
            curve = train_quantized(
                program, self._weights, self._recordings, options, lambda _point: advance(1, 0)
            )
        write_curve(curve, CURVE_NAME, folder)
        remark = qat_remark(curve, options)
        first, last = remark.numbers["loss_first"], remark.numbers["loss_last"]
        self._reporter.note(f"training: loss {first:.4g} at first, {last:.4g} at last")
        return [remark]


def qat_data_digest(recipe: Recipe) -> str:
    """Hashes the manifest of section [qat] and every file it lists; empty without one.

    Raises:
        TrainingError: The manifest is not usable.
    """
    if recipe.qat is None or recipe.qat.data is None:
        return ""
    manifest = Manifest(Path(recipe.qat.data).expanduser())
    files = {path for sample in manifest for path in (sample.image, sample.audio) if path is not None}
    return content_key(file_sha256(manifest.path), *(file_sha256(path) for path in sorted(files)))


def _requests(program: Program, settings: Qat) -> list[Request]:
    """Returns the requests to learn from: a seeded choice of the manifest's entries, or the calibration requests."""
    if settings.data is None:
        return list(program.requests[: settings.requests])
    manifest = Manifest(Path(settings.data).expanduser())
    order = np.random.default_rng(settings.seed).permutation(len(manifest))
    return [_request(manifest[int(index)]) for index in sorted(order[: settings.requests])]


def _request(sample: Sample) -> Request:
    example = read_example(sample)
    return Request(
        example.text or "", example.image, example.samples, example.sample_rate, answer=example.answer
    )
