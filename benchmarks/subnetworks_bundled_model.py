"""Exact match of the bundled model's nested sub-networks, before and after their joint training, for several seeds.

    python -m benchmarks.subnetworks_bundled_model [--seeds 3] [--steps 1200] [--data-dir DIR --examples 828]

Runs the stage of the mid tier with the recipe's own settings, in float32: what precision costs is another table.
The bundled test set is asked, and with `--data-dir`, the folder that `npuc.demo.prepare` makes, any
number of examples of the test split too. Digit images, voices and wordings of both are not those of the training data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.qat.clone import clone
from exporter.families.multimodal_transformer.splits import Split
from exporter.options import CaptureOptions
from exporter.sources import open_source
from npuc.artifact.weights_file import large_initializers
from npuc.demo.corpus import load_corpus
from npuc.demo.dataset import demo_requests
from npuc.demo.examples import draw_examples
from npuc.demo.speech import SAMPLE_RATE
from npuc.settings.recipe import Prune
from npuc.settings.recipe_file import tier_recipe
from npuc.stages.capture.observe import program_runner
from npuc.stages.learn.prune import PruneJob, prune_program
from npuc.terminal.progress import SilentReporter
from passes.learning.subnetworks.nested import Subnetwork, narrow
from passes.pipeline import directly_read_weights, normalize
from program.onnx_executor import OnnxExecutor
from program.program import Program, Request

ANSWER_TOKENS = 4
TestSets = Mapping[str, Sequence[Request]]
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
    sets = _test_sets(arguments)
    exact = {name: _score(source, requests) for name, requests in sets.items()}
    for name, requests in sets.items():
        print(f"{name}: {len(requests)} examples, {exact[name]:.2f} % right before training")
    print(
        f"{'seed':>4} {'steps':>5} {'sub-network':12} {'operations':>10} {'weights':>10}",
        *(f"{name:>18}" for name in sets),
        f"{'CPU s':>6}",
    )
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        settings = _settings(arguments, seed)
        if arguments.before:
            _rows(source, settings.model_copy(update=UNTRAINED), 0, sets, exact)
        _rows(source, settings, settings.steps, sets, exact)


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
    parser.add_argument("--keep-full", action=argparse.BooleanOptionalAction, help="default: the recipe's")
    parser.add_argument(
        "--no-before", dest="before", action="store_false", help="skip the rows without training"
    )
    parser.add_argument("--data-dir", type=Path, help="made by npuc.demo.prepare")
    parser.add_argument("--examples", type=int, default=828, help="of the test split in --data-dir")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace, seed: int) -> Prune:
    recipe = tier_recipe("mid").prune
    if recipe is None:
        raise SystemExit("the tier mid has no section [prune]")
    given = {
        name: getattr(arguments, name)
        for name in ("steps", "learning_rate", "requests", "allocation", "keep_full")
    }
    return recipe.model_copy(update={"seed": seed} | {k: v for k, v in given.items() if v is not None})


def _rows(source: Program, settings: Prune, steps: int, sets: TestSets, exact: Mapping[str, float]) -> None:
    program = clone(source)
    started = time.process_time()
    pruned = prune_program(PruneJob("demo", settings, SilentReporter()), program, {})
    seconds = time.process_time() - started
    for subnetwork in pruned.subnetworks:
        narrowed = _narrowed(program, subnetwork)
        scores = {name: _score(narrowed, requests) for name, requests in sets.items()}
        print(
            f"{settings.seed:4} {steps:5} {subnetwork.name:12} {100 * subnetwork.share:8.1f} %"
            f" {_weight_bytes(narrowed) / 1e6:7.2f} MB",
            *(f"{score:7.2f} % ({100 * score / exact[name]:5.1f} %)" for name, score in scores.items()),
            f"{seconds:6.0f}",
            flush=True,
        )


def _weight_bytes(program: Program) -> int:
    """Returns the bytes of all large weights that a program reads, each once."""
    return sum(tensor.nbytes for tensor in large_initializers(program.components).values())


def _narrowed(program: Program, subnetwork: Subnetwork) -> Program:
    copy = clone(program)
    narrow(copy, subnetwork)
    return copy


def _test_sets(arguments: argparse.Namespace) -> TestSets:
    sets: dict[str, Sequence[Request]] = {"bundled test set": demo_requests(Split.TEST)}
    if arguments.data_dir is not None:
        corpus = load_corpus(arguments.data_dir, Split.TEST)
        sets["test split"] = [
            Request(e.question, Image.fromarray(e.image), e.samples, SAMPLE_RATE, answer=e.answer)
            for e in draw_examples(corpus, Split.TEST, arguments.examples, seed=1000)
        ]
    return sets


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
