"""Exact match of the bundled model's nested sub-networks, before and after their joint training, for several seeds.

    python -m benchmarks.elastic_reference_model [--seeds 3] [--steps 300] [--data-dir build/demo-data --examples 828]

Runs the stage of the mid tier with the recipe's own settings, in float32: what precision costs is another table.
Without `--data-dir` the bundled test set is asked; with the folder that `exporter.reference_model.prepare` makes, any
number of examples of the test split, whose digit images, voices and wordings are not those of the training data either.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.qat.clone import clone
from exporter.onnx_executor import OnnxExecutor
from exporter.options import CaptureOptions
from exporter.program import Program, Request
from exporter.reference_model.corpus import load_corpus
from exporter.reference_model.dataset import load_requests
from exporter.reference_model.examples import draw_examples
from exporter.reference_model.speech import SAMPLE_RATE
from exporter.reference_model.splits import Split
from exporter.sources import open_source
from npuc.progress import SilentReporter
from npuc.recipe import Prune
from npuc.recipe_file import tier_recipe
from npuc.stages.observe import program_runner
from npuc.stages.prune import PruneJob, prune_program
from passes.elastic import Subnetwork
from passes.pipeline import directly_read_weights, normalize
from passes.pruning.cut import cut
from passes.pruning.dependencies import analyse

ANSWER_TOKENS = 4
UNTRAINED = {"steps": 1, "learning_rate": 1e-12}
"""The same widths as with training, and the weights of before."""


def main() -> None:
    """Prints a row for each sub-network, before and after training."""
    arguments = _arguments()
    torch.set_num_threads(1)
    source = open_source("demo", CaptureOptions())
    keep = directly_read_weights(source)
    for component in source.components.values():
        normalize(component, keep)
    test = _test_requests(arguments)
    exact = _score(source, test)
    print(
        f"{len(test)} test examples; the full network before: {exact:.2f} %, one example is {100 / len(test):.2f} %"
    )
    print(
        f"{'seed':>4} {'steps':>5} {'sub-network':12} {'operations':>10} {'accuracy':>9} {'of full':>8} {'CPU s':>6}"
    )
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        settings = _settings(arguments, seed)
        if arguments.before:
            _rows(source, settings.model_copy(update=UNTRAINED), 0, test, exact)
        _rows(source, settings, settings.steps, test, exact)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    parser.add_argument("--learning-rate", type=float, help="default: the recipe's")
    parser.add_argument("--requests", type=int, help="default: the recipe's")
    parser.add_argument("--allocation", choices=("measured", "importance"), help="default: the recipe's")
    parser.add_argument(
        "--no-before", dest="before", action="store_false", help="skip the rows without training"
    )
    parser.add_argument("--data-dir", type=Path, help="made by exporter.reference_model.prepare")
    parser.add_argument("--examples", type=int, default=828, help="of the test split in --data-dir")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace, seed: int) -> Prune:
    recipe = tier_recipe("mid").prune
    if recipe is None:
        raise SystemExit("the tier mid has no section [prune]")
    given = {name: getattr(arguments, name) for name in ("steps", "learning_rate", "requests", "allocation")}
    return recipe.model_copy(update={"seed": seed} | {k: v for k, v in given.items() if v is not None})


def _rows(source: Program, settings: Prune, steps: int, test: Sequence[Request], exact: float) -> None:
    program = clone(source)
    started = time.process_time()
    pruned = prune_program(PruneJob("demo", settings, SilentReporter()), program, {})
    seconds = time.process_time() - started
    for subnetwork in pruned.subnetworks:
        score = _score(_narrowed(program, subnetwork), test)
        print(
            f"{settings.seed:4} {steps:5} {subnetwork.name:12} {100 * subnetwork.share:8.1f} % {score:7.2f} %"
            f" {100 * score / exact:6.1f} % {seconds:6.0f}",
            flush=True,
        )


def _narrowed(program: Program, subnetwork: Subnetwork) -> Program:
    copy = clone(program)
    dependencies = analyse(copy)
    kept = {
        group.dimension: np.arange(subnetwork.widths[group.name])
        for group in dependencies.groups
        if group.name in subnetwork.widths
    }
    cut(copy, dependencies, kept)
    return copy


def _test_requests(arguments: argparse.Namespace) -> Sequence[Request]:
    if arguments.data_dir is None:
        return load_requests(Split.TEST)
    corpus = load_corpus(arguments.data_dir, Split.TEST)
    return [
        Request(e.question, Image.fromarray(e.image), e.samples, SAMPLE_RATE, answer=e.answer)
        for e in draw_examples(corpus, Split.TEST, arguments.examples, seed=1000)
    ]


def _score(program: Program, requests: Sequence[Request]) -> float:
    """Exact match in percent."""
    runner = program_runner(program)
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in program.components.items()}
    right = sum(
        runner.generate(executors, request, ANSWER_TOKENS).text == request.answer for request in requests
    )
    return 100 * right / len(requests)


if __name__ == "__main__":
    main()
