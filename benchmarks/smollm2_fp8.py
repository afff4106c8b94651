"""SmolLM2-135M in FP8: perplexity and next-token accuracy on news text, real weights.

    python -m benchmarks.smollm2_fp8 [--batches 7] [--calibration 2]

The precision maps are those of a recipe: E4M3 or E5M2 in every layer, the policy by modality (text: E5M2; so it equals
E5M2 here), and `auto`. Embedding, head, norms and softmax stay float16. Models are executed by the torch interpreter of
the ONNX graph, which tests hold equal to ONNX Runtime.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.smollm2 import program as smollm2
from benchmarks.smollm2 import text
from benchmarks.smollm2.weights import GgufFile
from passes.float.auto_precision import choose_formats
from passes.float.calibration.calibrate import calibration_method, choose_scales
from passes.float.calibration.statistics import Statistics
from passes.float.insert_fp8_qdq import quantised_inputs
from passes.float.layer_error import measure_layers, observe_layers
from passes.float.precision import PrecisionPolicy
from passes.learning.training.torch_graph.program import TorchProgram
from passes.pipeline import quantize
from program.number_format import Format
from program.program import Modality, Program

SIZE, LENGTH = 8, 128
ERROR_BUDGET = 0.05
"""The recipe's default for `auto`."""


def main() -> None:
    """Prints one row for each precision map."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=7, help=f"of {SIZE} texts to measure on; 7 are all")
    parser.add_argument("--calibration", type=int, default=2, help="batches to calibrate on")
    arguments = parser.parse_args()
    file = GgufFile()
    tokenizer = file.tokenizer()
    data = list(text.batches(tokenizer, text.documents(text.MEASURE), SIZE, LENGTH))[: arguments.batches]
    learn = list(text.batches(tokenizer, text.documents(text.LEARN), SIZE, LENGTH))[: arguments.calibration]
    program = smollm2.capture(file.config, file.weights(), SIZE, LENGTH)
    table = Table(title="SmolLM2-135M, Lee news, 128 tokens a text", box=None)
    for column in ("map", "FP8 layers", "perplexity", "next token", "of FP32", "tokens", "seconds"):
        table.add_column(column, justify="right")
    whole = _add(table, "float32", program, 0, data, None)
    for name, (quantised, layers) in _quantised(program, learn).items():
        _add(table, name, quantised, layers, data, whole)
    Console(width=100).print(table)


def _quantised(program: Program, learn: list[text.Batch]) -> Mapping[str, tuple[Program, int]]:
    model = program.components[smollm2.COMPONENT].model
    method, base = calibration_method("least_error"), PrecisionPolicy()
    statistics = observe_layers(model, [smollm2.feed(batch) for batch in learn], base)
    errors = measure_layers(model, statistics, base, method)
    maps = {
        "float16": PrecisionPolicy(by_modality={}),
        "E4M3": PrecisionPolicy(by_modality=dict.fromkeys(Modality, Format.E4M3)),
        "E5M2": PrecisionPolicy(by_modality=dict.fromkeys(Modality, Format.E5M2)),
        "by modality": base,
        "auto": dataclasses.replace(base, measured=choose_formats(errors, ERROR_BUDGET, Format.FLOAT16)),
    }
    return {name: _quantise(program, policy, statistics) for name, policy in maps.items()}


def _quantise(
    program: Program, policy: PrecisionPolicy, statistics: Mapping[str, Statistics]
) -> tuple[Program, int]:
    copy = smollm2.copy(program)
    component = copy.components[smollm2.COMPONENT]
    needed = quantised_inputs(component.model, policy)
    scales = choose_scales(statistics, needed, calibration_method("least_error"))
    remarks = quantize(component, policy, scales)
    return copy, sum(remark.what in (Format.E4M3, Format.E5M2) for remark in remarks)


def _add(
    table: Table, name: str, program: Program, layers: int, data: list[text.Batch], whole: text.Score | None
) -> text.Score:
    started = time.perf_counter()
    found = text.score(smollm2.logits(TorchProgram(program)), data)
    share = 1.0 if whole is None else found.accuracy / whole.accuracy
    figures = (f"{found.perplexity:.2f}", f"{100 * found.accuracy:.2f} %", f"{100 * share:.1f} %")
    seconds = f"{time.perf_counter() - started:.0f}"
    table.add_row(name, str(layers), *figures, str(found.tokens), seconds)
    return found


if __name__ == "__main__":
    main()
