"""The quantised program is fine-tuned towards the float program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from npuc.artifact.training_curves import QAT, write_curve
from npuc.settings.recipe import Qat
from npuc.stages.learn.teach import teach
from npuc.stages.learn.training_data import manifest_requests
from npuc.terminal.progress import ProgressReporter
from passes.learning.qat.run import QatOptions, qat_remark, train_quantized, train_quantized_subnetworks
from passes.learning.subnetworks.nested import Subnetwork
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.loss_curve import LossCurve, LossPoint
from passes.learning.training.master_weights import FloatWeights, float_weights
from passes.learning.training.recording import Recording
from program.program import Program, Request
from program.remark import Remark


class QatStage:
    """Remembers the float program before it is quantised in place, and trains the quantised one afterwards.

    Args:
        program: Normalised program.
        settings: The recipe's section [qat].
        reporter: Is told about progress.
        augmenter: Changes examples of the training data, or None.

    Raises:
        TrainingError: The data manifest is not usable.
    """

    def __init__(
        self,
        program: Program,
        settings: Qat,
        reporter: ProgressReporter,
        augmenter: Augmenter | None = None,
    ) -> None:
        self._settings = settings
        self._reporter = reporter
        self._weights: FloatWeights = float_weights(program)
        self._recordings: list[Recording] = teach(program, _requests(program, settings, augmenter), reporter)

    def train(
        self,
        program: Program,
        folder: Path,
        checkpoints: Path | None = None,
        subnetworks: Sequence[Subnetwork] = (),
        master: Program | None = None,
    ) -> tuple[Remark, tuple[Subnetwork, ...]]:
        """Trains the program, quantised by now, in place.

        Args:
            program: The one given before.
            folder: Of the artifact; the loss curve goes to its `training/`.
            checkpoints: Where training keeps what it needs to go on after an interruption, or None.
            subnetworks: Nested in it, from the largest to the smallest; they are trained with it.
            master: The float program, to be given the trained weights as they are before rounding, in place.

        Returns:
            What training did, and the sub-networks with their own vectors trained.

        Raises:
            PassError: Training diverged, or an operator cannot be trained.
        """
        settings = self._settings
        options = QatOptions(
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            seed=settings.seed,
            checkpoints=None if checkpoints is None else checkpoints / QAT,
            learn_scales=settings.learn_scales,
        )
        with self._reporter.phase("train", settings.steps) as advance:
            curve, trained = self._train(program, options, subnetworks, lambda _point: advance(1, 0), master)
        write_curve(curve, QAT, folder)
        remark = qat_remark(curve, options, subnetworks)
        first, last = remark.numbers["loss_first"], remark.numbers["loss_last"]
        self._reporter.note(f"training: loss {first:.4g} at first, {last:.4g} at last")
        return remark, tuple(trained)

    def _train(
        self,
        program: Program,
        options: QatOptions,
        subnetworks: Sequence[Subnetwork],
        on_step: Callable[[LossPoint], None],
        master: Program | None,
    ) -> tuple[LossCurve, Sequence[Subnetwork]]:
        if subnetworks:
            return train_quantized_subnetworks(
                program, self._weights, subnetworks, self._recordings, options, on_step, master
            )
        curve = train_quantized(program, self._weights, self._recordings, options, on_step, master)
        return curve, ()


def _requests(program: Program, settings: Qat, augmenter: Augmenter | None) -> Sequence[Request]:
    if settings.data is None:
        return program.requests[: settings.requests]
    return manifest_requests(program, settings.data, settings.requests, settings.seed, augmenter)
