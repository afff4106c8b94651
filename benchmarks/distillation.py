"""A student a quarter of the reference model's size: distilled, trained alone, and only cut.

    python benchmarks/distillation.py --steps 200 --seeds 3 --output docs/results/distillation.json

All students have the same dimensions and see the same batches in the same order. Accuracy is the share of the 276 test
questions answered exactly; no test picture, voice or wording occurs in training.

* cut: the teacher's most important channels and heads, by activation times weight, not trained
* random, alone: fresh weights, cross entropy with the right answers (with --random)
* cut, alone: the cut weights, cross entropy with the right answers
* distilled: the cut weights, taught by the teacher (logits, hidden states) and the right answers
* … by weights: the same two from channels and heads chosen by the norm of their weights alone (with --weight-norms)
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.folder_tokenizer import FolderTokenizer
from exporter.families.multimodal_transformer.generation import TorchAnswerer
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from npuc.demo import demo_folder
from npuc.demo.dataset import load_kinds
from npuc.demo.evaluation import Ablation, evaluate
from npuc.demo.training import build_model
from passes.learning.distillation.objective import LossWeights
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.run import train_student
from passes.learning.distillation.student import Student, prepare_student
from passes.learning.distillation.task import Task
from passes.learning.training.options import TrainingOptions

Arm = Callable[[DistillOptions], tuple[Student, float]]
ALONE = LossWeights(logits=0, hidden=0, attention=0, task=1)


def main() -> None:
    """Trains every student and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--random", action="store_true", help="train a student with fresh weights too")
    parser.add_argument("--weight-norms", action="store_true", help="students cut by the norm of weights too")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--hidden-weight", type=float, default=LossWeights.hidden, help="of the difference of hidden states"
    )
    parser.add_argument("--data", type=Path, help="what npuc.demo.prepare wrote; default: shipped part")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = ModelFolder(demo_folder())
    rows: dict[str, list[float]] = {}
    sizes = {}
    started = time.process_time()
    for seed in range(arguments.seeds):
        options = _options(arguments.steps, seed, arguments.data, LossWeights(hidden=arguments.hidden_weight))
        for name, make in _arms(folder, arguments.random, arguments.weight_norms).items():
            student, accuracy = make(options)
            rows.setdefault(name, []).append(accuracy)
            sizes = {"student": student.solution.params, "teacher": student.layout.count()}
            print(
                f"seed {seed} {name}: {accuracy:.4f}  {time.process_time() - started:.0f} CPU s",
                file=sys.stderr,
            )
    teacher = _accuracy(folder, _teacher(folder))
    _print(rows, teacher, sizes, arguments.steps)
    if arguments.output is not None:
        document = {
            "command": " ".join(["python benchmarks/distillation.py", *sys.argv[1:]]),
            "accuracy": rows,
            "teacher": teacher,
            "params": sizes,
            "cpu_seconds": round(time.process_time() - started),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        arguments.output.write_text(json.dumps(document, indent=1) + "\n")


def _arms(folder: ModelFolder, fresh: bool, weight_norms: bool) -> dict[str, Arm]:
    def cut(options: DistillOptions) -> tuple[Student, float]:
        student = prepare_student(folder, options)
        return student, _accuracy(folder, student.task)

    def trained(options: DistillOptions, weights: LossWeights, fresh: bool = False) -> tuple[Student, float]:
        student = prepare_student(folder, options)
        if fresh:
            made = build_model(ModelConfig.from_json(student.config), options.training.seed)
            student.task.network.load_state_dict(made.state_dict())
        teacher = student.family.build(folder.config, folder, options.shapes)
        teacher.load(student.read)
        stream = student.family.stream(
            folder, options.data, options.batch_size, options.training.seed, options.shapes
        )
        train_student(student, teacher, stream, dataclasses.replace(options, weights=weights))
        return student, _accuracy(folder, student.task)

    arms: dict[str, Arm] = {
        "cut": cut,
        "cut, alone": lambda options: trained(options, ALONE),
        "distilled": lambda options: trained(options, options.weights),
    }
    if weight_norms:
        arms |= {
            "cut by weights": lambda options: cut(_by_weights(options)),
            "distilled by weights": lambda options: trained(_by_weights(options), options.weights),
        }
    return arms | ({"random, alone": lambda options: trained(options, ALONE, fresh=True)} if fresh else {})


def _by_weights(options: DistillOptions) -> DistillOptions:
    return dataclasses.replace(options, criterion="weight_norm")


def _options(steps: int, seed: int, data: Path | None, weights: LossWeights) -> DistillOptions:
    training = TrainingOptions(steps=steps, learning_rate=3e-3, warmup_steps=round(0.05 * steps), seed=seed)
    return DistillOptions(training=training, params="25%", data=data, batch_size=16, weights=weights)


def _teacher(folder: ModelFolder) -> Task:
    from npuc.demo.student.task import ReferenceTask

    task = ReferenceTask(ModelConfig.from_json(folder.config))
    task.network.load_state_dict(load(folder.read_bytes("model.safetensors")))
    return task


def _accuracy(folder: ModelFolder, task: Task) -> float:
    model = task.network.eval()
    assert isinstance(model, MultiModalTransformer)  # noqa: S101 - for the type checker
    preprocessor = Preprocessor.from_json(folder.read_json("preprocessor_config.json"))
    answer = TorchAnswerer(model, preprocessor, FolderTokenizer(folder.read_bytes("tokenizer.json")))
    requests, kinds = load_requests(Split.TEST, folder.path), load_kinds(Split.TEST, folder.path)
    return evaluate(answer, requests, kinds, Ablation.NONE).exact_match


def _print(rows: dict[str, list[float]], teacher: float, sizes: dict[str, int], steps: int) -> None:
    print(f"{steps} steps of 16 pairs; {sizes['student']} of {sizes['teacher']} parameters")
    print(f"{'student':<20} {'mean':>7} {'spread':>7}   each seed")
    for name, values in rows.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        each = " ".join(f"{value:.3f}" for value in values)
        print(f"{name:<20} {statistics.mean(values):>7.3f} {spread:>7.3f}   {each}")
    print(f"{'teacher':<20} {teacher:>7.3f}")


if __name__ == "__main__":
    main()
