"""What happens to one part of the decoder: calibrated, requantised, prepared, executed, compared."""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.weights_file import write_weights
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds
from targets.snapdragon.htp.share_weights import SharedBinary, prepare_shared
from targets.snapdragon.socs import HtpSoc

Values = dict[str, Array]


@dataclasses.dataclass
class Samples:
    """Values that flow through the chain, for prefill and decode.

    Attributes:
        floats: For each graph one dictionary a calibration sample: inputs, and what the float parts returned.
        device: Inputs of one decode step, and what the emulated parts returned.
    """

    floats: dict[str, list[Values]]
    device: Values


@dataclasses.dataclass(frozen=True)
class PartResult:
    """Figures of one part.

    Attributes:
        seconds: By step.
        weights: Bytes of the integer weights and constants of both graphs.
        size: Bytes of the binary that prefill and decode share.
        agreement: SNR in dB of the emulated graph against its reference, by graph and output.
    """

    seconds: Mapping[str, float]
    weights: int
    size: int
    agreement: Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class PartJob:
    """How parts are made.

    Attributes:
        soc: The chip.
        scheme: Integer types.
        folder: Gets a folder with the binary for each part.
        execute: Graphs that are executed, `prefill` and `decode`.
    """

    soc: HtpSoc
    scheme: Scheme
    folder: Path
    execute: tuple[str, ...]


def process_part(job: PartJob, index: int, pair: Mapping[str, Component], samples: Samples) -> PartResult:
    """Prepares prefill and decode of one part; only this part's weights are ever on disk in float32.

    Args:
        job: How.
        index: Number of the part.
        pair: Components `prefill` and `decode`.
        samples: Gets the outputs of this part.
    """
    clock = _Clock()
    work = job.folder / f"part_{index}_work"
    (work / "float").mkdir(parents=True)
    (work / "integer").mkdir()
    write_weights(pair, work / "float")
    clock.stop("write float32")
    feeds = {name: [_inputs(pair[name], values) for values in samples.floats[name]] for name in pair}
    for name, component in pair.items():
        _propagate(component, work / "float", samples.floats[name])
    clock.stop("float reference")
    for name, component in pair.items():
        requantize(component, job.scheme, feeds[name])
    clock.stop("calibrate")
    weights = write_weights(pair, work / "integer")
    for name, component in pair.items():
        ir.save(component.model, work / "integer" / f"{name}.onnx")
    shutil.rmtree(work / "float")
    _return_memory()
    clock.stop("quantise weights")
    decode = _inputs(pair["decode"], samples.device)
    emulated = {"decode": decode, "prefill": feeds["prefill"][-1]}
    binary = prepare_shared(
        {name: work / "integer" / f"{name}.onnx" for name in ("prefill", "decode")},
        job.soc,
        job.folder / f"part_{index}",
        samples={name: emulated[name] for name in job.execute},
        seconds=7200,
    )
    clock.stop("prepare and execute")
    agreement = {name: _compare(binary, name, work / "integer", emulated[name]) for name in job.execute}
    samples.device |= binary.outputs.get("decode", {})
    shutil.rmtree(work)
    _return_memory()
    clock.stop("compare")
    return PartResult(clock.seconds, weights, binary.size, agreement)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def _inputs(component: Component, values: Feeds) -> Values:
    return {spec.name: values[spec.name].astype(spec.numpy_dtype) for spec in component.inputs}


def _propagate(component: Component, folder: Path, samples: list[Values]) -> None:
    path = folder / f"{component.name}.onnx"
    ir.save(component.model, path)
    executor = OnnxExecutor(path)
    for values in samples:
        values |= executor(_inputs(component, values))


def _compare(binary: SharedBinary, name: str, folder: Path, feeds: Values) -> dict[str, float]:
    reference = OnnxExecutor(folder / f"{name}.onnx")(feeds)
    return {
        output: signal_to_noise(array, binary.outputs[name][output]) for output, array in reference.items()
    }


def _return_memory() -> None:
    """Freed blocks go back to the system, so that the compiler's process has them."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
