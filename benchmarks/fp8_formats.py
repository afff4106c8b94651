"""Prints the output error of every layer in E4M3 and E5M2, by modality, and of the default policy by component.

    python benchmarks/fp8_formats.py [demo | MODEL] [--requests 8] [--method least_error] [--layers]

Layers are measured one at a time, on the inputs they had in float32, with weight and input quantised. Components are
measured whole: the quantised graph in ONNX Runtime against the captured one, on the same recorded inputs.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from exporter.options import CaptureOptions
from exporter.sources import open_source
from npuc.stages.capture.observe import record_feeds, spread
from passes.float.calibration.calibrate import METHODS, Method, calibrate, calibration_method
from passes.float.layer_error import LayerError, layer_errors, modality_errors
from passes.float.precision import DEFAULT_FORMATS, PrecisionPolicy
from passes.pipeline import directly_read_weights, normalize, quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds, Program

POLICIES: Mapping[str, PrecisionPolicy] = {
    "float16": PrecisionPolicy(by_modality={}),
    "e4m3 everywhere": PrecisionPolicy(by_modality=dict.fromkeys(DEFAULT_FORMATS, Format.E4M3)),
    "e5m2 everywhere": PrecisionPolicy(by_modality=dict.fromkeys(DEFAULT_FORMATS, Format.E5M2)),
    "by modality": PrecisionPolicy(),
}


def main() -> None:
    """Captures, measures, prints."""
    arguments = _arguments()
    program = open_source(
        arguments.model, CaptureOptions(image_size=(256, 256), prefill_length=64, cache_length=256)
    )
    keep = directly_read_weights(program)
    for component in program.components.values():
        normalize(component, keep)
    feeds = _feeds(program, arguments.requests)
    method = calibration_method(arguments.method)
    start = time.perf_counter()
    errors = [
        error
        for name, component in program.components.items()
        for error in layer_errors(component.model, feeds[name], PrecisionPolicy(), method)
    ]
    _print_modalities(errors)
    print(f"measured {len(errors)} layers in {time.perf_counter() - start:.1f} s\n")
    if arguments.layers:
        _print_layers(errors)
    _print_components(program, feeds, method)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="demo")
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--method", choices=METHODS, default="least_error")
    parser.add_argument("--layers", action="store_true", help="one line a layer")
    return parser.parse_args()


def _feeds(program: Program, count: int) -> Mapping[str, Sequence[Feeds]]:
    executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
    return record_feeds(program, executors, spread(program.requests, count))


def _print_modalities(errors: Sequence[LayerError]) -> None:
    print(f"{'modality':10} {'format':7} {'layers':>6} {'mean SQNR':>10} {'worst SQNR':>10}  worst layer")
    for row in modality_errors(errors):
        figures = f"{row.layers:6} {row.mean_sqnr:7.1f} dB {row.worst_sqnr:7.1f} dB"
        print(f"{row.modality:10} {row.format.value:7} {figures}  {row.worst_layer}")


def _print_layers(errors: Sequence[LayerError]) -> None:
    print(f"{'relative error':>8} E4M3     E5M2  layer")
    for error in errors:
        print(f"{error.relative[Format.E4M3]:18.4f} {error.relative[Format.E5M2]:8.4f}  {error.weight}")
    print()


def _print_components(program: Program, feeds: Mapping[str, Sequence[Feeds]], method: Method) -> None:
    print(f"{'component':16} {'policy':16} {'FP8 layers':>10} {'SQNR':>9}")
    for name, component in program.components.items():
        reference = [OnnxExecutor(component.model)(feed) for feed in feeds[name]]
        for title, policy in POLICIES.items():
            layers, ratio = _measure(component, policy, feeds[name], reference, method)
            print(f"{name:16} {title:16} {layers:10} {ratio:6.1f} dB")


def _measure(
    component: Component,
    policy: PrecisionPolicy,
    feeds: Sequence[Feeds],
    reference: Sequence[Mapping[str, Array]],
    method: Method,
) -> tuple[int, float]:
    copy = Component(component.name, component.role, component.modality, component.model.clone())
    scales = calibrate(copy.model, feeds, policy, method)
    remarks = quantize(copy, policy, scales)
    executor = OnnxExecutor(copy.model)
    results = [executor(feed) for feed in _in_component_types(copy, feeds)]
    layers = sum(remark.what in (Format.E4M3, Format.E5M2) for remark in remarks)
    return layers, _sqnr(reference, results)


def _in_component_types(component: Component, feeds: Sequence[Feeds]) -> Iterator[Feeds]:
    for feed in feeds:
        yield {spec.name: feed[spec.name].astype(spec.numpy_dtype) for spec in component.inputs}


def _sqnr(reference: Sequence[Mapping[str, Array]], results: Sequence[Mapping[str, Array]]) -> float:
    signal = noise = 0.0
    for expected, received in zip(reference, results, strict=True):
        for name, values in expected.items():
            wide = values.astype(np.float64)
            signal += float(np.sum(wide**2))
            noise += float(np.sum((received[name].astype(np.float64) - wide) ** 2))
    return math.inf if noise == 0 else 10 * math.log10(signal / noise)


if __name__ == "__main__":
    main()
