"""Prints how well the shipped reference model answers its whole test set, with and without each input.

The answers come from the captured ONNX components, run by ONNX Runtime; nothing here depends on torch's arithmetic.

    python benchmarks/bundled_model_ablation.py [MODEL_FOLDER]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.families.multimodal_transformer.family import MultimodalTransformerFamily
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from npuc.demo import demo_folder
from npuc.demo.dataset import load_kinds
from npuc.demo.evaluation import Ablation, Answerer, evaluate
from npuc.demo.questions import Kind
from program.onnx_executor import OnnxExecutor
from program.program import Request

MAX_NEW_TOKENS = 8


def open_model(folder: Path) -> Answerer:
    """Captures a model folder and returns a function that answers requests one by one."""
    family = MultimodalTransformerFamily()
    program = family.capture(ModelFolder(folder), CaptureOptions())
    executors = {
        name: OnnxExecutor(component.model, threads=1) for name, component in program.components.items()
    }
    signatures = {name: component.inputs for name, component in program.components.items()}
    runner = family.runner(program.settings, program.assets, signatures)

    def answer(requests: Sequence[Request]) -> list[str]:
        return [runner.generate(executors, request, MAX_NEW_TOKENS).text for request in requests]

    return answer


def main(folder: Path) -> None:
    """Prints one row for each input left out: exact match over all and by kind of question."""
    answer = open_model(folder)
    requests, kinds = load_requests(Split.TEST, folder), load_kinds(Split.TEST, folder)
    print(f"{len(requests)} test examples; share of exactly right answers")
    print("| left out | all | " + " | ".join(Kind) + " | ms per answer |")
    print("|---|" + "---|" * (len(Kind) + 2))
    for ablation in Ablation:
        start = time.perf_counter()
        score = evaluate(answer, requests, kinds, ablation)
        milliseconds = (time.perf_counter() - start) / len(requests) * 1000
        shares = " | ".join(f"{score.by_kind[kind]:.2f}" for kind in Kind)
        print(f"| {ablation} | {score.exact_match:.3f} | {shares} | {milliseconds:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else demo_folder())
