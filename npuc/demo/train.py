"""Trains the bundled model and writes its model folder.

python -m npuc.demo.train --data-dir build/demo-data --output build/demo-model
"""

from __future__ import annotations

import dataclasses
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from tokenizers import Tokenizer

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.generation import TorchAnswerer
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.splits import Split
from exporter.families.multimodal_transformer.word_tokenizer import END, PADDING, START, token_id
from npuc.demo.assets import save_model, save_sets, write_json
from npuc.demo.batches import BatchSource
from npuc.demo.corpus import load_corpus
from npuc.demo.dataset import load_kinds
from npuc.demo.evaluation import Ablation, evaluate
from npuc.demo.examples import draw_examples
from npuc.demo.questions import Kind
from npuc.demo.tokenizer import build_tokenizer
from npuc.demo.training import StepReport, TrainingSettings, build_model, train_model
from npuc.demo.transfer import save_transfer
from program.errors import DiagnosticError

TEST_EXAMPLES = 276
CALIBRATION_EXAMPLES = 48

REPORT_EVERY = 100
"""Steps between lines of the log."""

LOSSES = ("answer", "shown", "said", "relation")
"""Fields of `StepReport` that are logged."""

Log = Callable[[str], None]


def reference_config(preprocessor: Preprocessor, tokenizer: Tokenizer) -> ModelConfig:
    """Returns the shipped model's dimensions; those of the inputs follow the preprocessing."""
    return ModelConfig(
        width=64,
        heads=4,
        mlp_width=128,
        vision_layers=2,
        audio_layers=2,
        text_layers=1,
        summary_tokens=2,
        mixer_width=192,
        latent_tokens=4,
        fusion_layers=2,
        decoder_layers=2,
        image_height=preprocessor.image.height,
        image_width=preprocessor.image.width,
        mel_bins=preprocessor.audio.mel_bins,
        audio_frames=preprocessor.audio.frames,
        text_length=preprocessor.text_length,
        cache_length=8,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=token_id(tokenizer, PADDING),
        bos_token_id=token_id(tokenizer, START),
        eos_token_id=token_id(tokenizer, END),
    )


def train(data_dir: Path, output: Path, settings: TrainingSettings, log: Log) -> dict[str, Any]:
    """Trains, measures, and writes the model folder.

    Args:
        data_dir: As `prepare` wrote it.
        output: Model folder to write.
        settings: How long and how fast.
        log: Receives lines of progress.

    Returns:
        The content of metrics.json.

    Raises:
        DataError: The data cannot be read.
    """
    corpora = {split: load_corpus(data_dir, split) for split in Split}
    preprocessor, tokenizer = Preprocessor(), build_tokenizer()
    model = build_model(reference_config(preprocessor, tokenizer), settings.seed)
    wall, cpu = time.perf_counter(), time.process_time()
    batches = BatchSource(
        corpora[Split.TRAIN],
        preprocessor,
        tokenizer,
        pairs=settings.pairs,
        variants=settings.variants,
        seed=settings.seed,
    )
    curve = _Curve(log)
    train_model(model, batches, settings, curve)
    took = {
        "wall_seconds": round(time.perf_counter() - wall),
        "cpu_seconds": round(time.process_time() - cpu),
    }
    output.mkdir(parents=True, exist_ok=True)
    save_model(output, model, preprocessor, tokenizer)
    save_transfer(corpora[Split.TRAIN], output)
    calibration = draw_examples(
        corpora[Split.CALIBRATION], Split.CALIBRATION, CALIBRATION_EXAMPLES, settings.seed
    )
    test = draw_examples(corpora[Split.TEST], Split.TEST, TEST_EXAMPLES, settings.seed)
    save_sets(output, calibration, test, sample=[example.kind for example in test].index(Kind.SUM))
    metrics = {
        **measure(output, TorchAnswerer(model, preprocessor, tokenizer)),
        "training": {**took, **_environment(model), **dataclasses.asdict(settings), "curve": curve.points},
    }
    write_json(output / "metrics.json", metrics)
    return metrics


def measure(folder: Path, answer: TorchAnswerer) -> dict[str, Any]:
    """Asks the stored test set, as it is and with each input made neutral."""
    requests, kinds = load_requests(Split.TEST, folder), load_kinds(Split.TEST, folder)
    scores = {ablation: evaluate(answer, requests, kinds, ablation) for ablation in Ablation}
    return {
        "test_examples": len(requests),
        "exact_match": scores[Ablation.NONE].exact_match,
        "exact_match_by_kind": dict(scores[Ablation.NONE].by_kind),
        "exact_match_without": {
            str(ablation): score.exact_match
            for ablation, score in scores.items()
            if ablation is not Ablation.NONE
        },
    }


class _Curve:
    """Keeps the mean losses of every `REPORT_EVERY` steps and logs them."""

    def __init__(self, log: Log) -> None:
        self.points: list[dict[str, float]] = []
        self._log = log
        self._pending: list[StepReport] = []
        self._start = time.perf_counter()

    def __call__(self, report: StepReport) -> None:
        self._pending.append(report)
        if (report.step + 1) % REPORT_EVERY:
            return
        means = np.mean(
            [(item.answer, item.shown, item.said, item.relation) for item in self._pending], axis=0
        )
        losses = dict(zip(LOSSES, (round(float(mean), 4) for mean in means), strict=True))
        self._pending.clear()
        self.points.append({"step": report.step + 1, **losses})
        seconds = time.perf_counter() - self._start
        shares = "  ".join(f"{name} {loss}" for name, loss in losses.items())
        self._log(f"step {report.step + 1:5d} {seconds:5.0f} s  {shares}")


def _environment(model: MultiModalTransformer) -> dict[str, Any]:
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True, help="Written by `prepare`.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--steps", default=TrainingSettings.steps, show_default=True)
@click.option("--seed", default=TrainingSettings.seed, show_default=True)
@click.option(
    "--threads", default=1, show_default=True, help="Of torch; so small a model gains little from more."
)
def main(data_dir: Path, output: Path, steps: int, seed: int, threads: int) -> None:
    """Trains the bundled model."""
    torch.set_num_threads(threads)
    try:
        metrics = train(data_dir, output, TrainingSettings(steps=steps, seed=seed), click.echo)
    except DiagnosticError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    click.echo(f"exact match {metrics['exact_match']}, without {metrics['exact_match_without']}")


if __name__ == "__main__":
    main()
