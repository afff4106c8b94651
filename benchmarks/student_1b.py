"""The 1B student of Qwen3-VL-4B at full size: dimensions, capture, FP8, aarch64 program, one decode step; a forecast.

    python -m benchmarks.student_1b --folder build/student_1b [--params 1.0B] [--precision fp8|float16]

The weights are random (seeded): what is shown is that a program of this size goes through, in what time and memory,
not what it answers. Each stage is a process of its own, so that its peak memory is its own. `--forecast` prints the
forecast of a training step alone.

Memory of mixed-precision AdamW with float32 master weights: 16 bytes a parameter (4 weights, 4 gradients, 8 moments),
divided over the devices by FSDP2, plus the whole frozen teacher in bfloat16 (2 bytes a parameter) on each device: ZeRO
(arXiv 1910.02054, section 3.1). Activations kept for the backward pass: s b h (34 + 5 a s / h) bytes a layer
(Korthikanti et al., arXiv 2205.05198, equation 2, 16-bit activations, for a feed-forward layer of four times the width,
nearly the student's), of which recomputation keeps one layer and 2 s b h a layer.
Operations: 6 a token and student parameter for forward and backward, 2 for each of the teacher's (Kaplan et al., arXiv
2001.08361, section 2.1; PaLM, arXiv 2204.02311, appendix B, whose utilisations are the source of 40 %).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import capture_memory

COMPONENT = "decode"
PREFILL, CACHE = 64, 256
UTILISATION = 0.4
"""Share of the peak that training reaches; PaLM reports 46 % for 540 B, smaller models less."""

PEAKS = {"H100 SXM (989 TFLOP/s BF16 dense, 80 GB; NVIDIA data sheet)": (989e12, 80e9),
         "A100 SXM (312 TFLOP/s BF16 dense, 80 GB; NVIDIA data sheet)": (312e12, 80e9)}  # fmt: skip


def main() -> None:
    """Runs all stages, or the one named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("build/student_1b"))
    parser.add_argument("--params", default="1.0B")
    parser.add_argument("--precision", choices=("fp8", "float16"), default="fp8")
    parser.add_argument("--device", default="cortex-a320-ethos-u85")
    parser.add_argument("--forecast", action="store_true", help="print the forecast only")
    parser.add_argument("--stage", choices=sorted(STAGES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(_timed(arguments)))
        return
    _print_forecast(arguments.params)
    if arguments.forecast:
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        command = [sys.executable, "-m", "benchmarks.student_1b", *sys.argv[1:], "--stage", stage]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"stage {stage} failed:\n{done.stderr[-3000:]}")
        result = json.loads(done.stdout.splitlines()[-1])
        shown = "  ".join(f"{key} {value}" for key, value in result.pop("shown").items())
        print(f"{stage:<10} {result['wall']:8.1f} s  {result['cpu']:8.1f} CPU s  {result['peak_mb']:7.0f} MB  {shown}",
              flush=True)  # fmt: skip


def student_config(params: str) -> tuple[dict[str, Any], Any]:
    """Returns the student's config.json and its solution."""
    from passes.learning.distillation.families import student_family
    from passes.learning.distillation.selection import select
    from passes.learning.distillation.solve import solve, wished_params

    teacher = capture_memory.CONFIG
    family = student_family(teacher)
    layout = family.layout(teacher)
    solution = solve(layout, wished_params(params, layout.count(), 0.5))
    chosen = select(layout, solution.dimensions, {}, required=family.required(teacher))
    return layout.configured(solution.dimensions, chosen.layers), solution


def _print_forecast(params: str) -> None:
    config, solution = student_config(params)
    from passes.learning.distillation.qwen3_vl import qwen3_vl_layout

    teacher = qwen3_vl_layout(capture_memory.CONFIG).count()
    print(f"student {solution.params:,} of {teacher:,} parameters; {dict(solution.counts)}")
    print(f"        {dict(solution.dimensions)}")
    text, tokens = config["text_config"], 1024
    hidden, heads, layers = text["hidden_size"], text["num_attention_heads"], text["num_hidden_layers"]
    layer = tokens * hidden * (34 + 5 * heads * tokens / hidden)
    whole, recomputed = layers * layer, layer + layers * 2 * tokens * hidden
    logits = 2 * 4 * tokens * text["vocab_size"]
    print(
        f"forecast of a training step, one sequence of {tokens} tokens a device, teacher on every device in bfloat16"
    )
    print(
        f"{'devices':>8} {'states':>9} {'teacher':>9} {'activations':>12} {'recomputed':>11} {'logits':>8} in GB"
    )
    for devices in (1, 2, 4, 8):
        figures = (16 * solution.params / devices, 2 * teacher, whole, recomputed, logits)
        states, frozen, kept, less, rows = (figure / 1e9 for figure in figures)
        print(f"{devices:>8} {states:>9.1f} {frozen:>9.1f} {kept:>12.1f} {less:>11.1f} {rows:>8.1f}   "
              f"{states + frozen + less + rows:.1f} with recomputation")  # fmt: skip
    operations = 6 * solution.params + 2 * teacher
    for name, (peak, _memory) in PEAKS.items():
        print(f"{UTILISATION * peak / operations:>8.0f} tokens/s a device at {UTILISATION:.0%} of {name}")


def _write(arguments: argparse.Namespace) -> dict[str, Any]:
    config, solution = student_config(arguments.params)
    capture_memory.CONFIG.clear()
    capture_memory.CONFIG.update(config)
    folder = _source(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    parameters = capture_memory.write_checkpoint(folder)
    if parameters != solution.params:
        raise SystemExit(f"{parameters} parameters written, {solution.params} solved for")
    from exporter.files.safetensors_header import read_header

    path = folder / "model.safetensors"
    with path.open("r+b") as file:
        for index, tensor in enumerate(sorted(read_header(path).values(), key=lambda item: item.offset)):
            file.seek(tensor.offset)
            rng = np.random.Generator(np.random.SFC64(index))
            gain = 1.0 if len(tensor.shape) == 1 and tensor.name.endswith("weight") else 0.0
            for start in range(0, tensor.nbytes // 2, 1 << 24):
                count = min(1 << 24, tensor.nbytes // 2 - start)
                values = gain + np.float32(0.02) * rng.standard_normal(count, np.float32)
                file.write(np.ascontiguousarray(values.astype(np.float32).view(np.uint16)[1::2]))
    return {"parameters": f"{parameters:,}", "bytes": f"{path.stat().st_size:,}"}


def _prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    import onnx_ir as ir

    from benchmarks.htp_decoder.samples import decoder_samples
    from exporter.files.model_folder import ModelFolder
    from exporter.options import CaptureOptions
    from exporter.sources import open_source
    from npuc.artifact.weights_file import write_weights
    from passes.float.calibration.calibrate import calibrate, calibration_method
    from passes.float.precision import PrecisionPolicy
    from passes.pipeline import directly_read_weights, normalize, quantize
    from program.number_format import Format
    from program.program import Modality

    ModelFolder.sha256 = lambda _self, _name: ""  # type: ignore[method-assign]
    options = CaptureOptions(image_size=(256, 256), prefill_length=PREFILL, cache_length=CACHE)
    program = open_source(_source(arguments), options)
    nodes = {name: len(part.model.graph) for name, part in program.components.items()}
    keep = directly_read_weights(program)
    component = program.components[COMPONENT]
    normalize(component, keep)
    narrow = {Modality.TEXT: Format.E5M2} if arguments.precision == "fp8" else {}
    policy = PrecisionPolicy(by_modality=narrow)
    samples = decoder_samples(component, (5,))
    scales = calibrate(component.model, samples, policy, calibration_method("absmax"))
    quantize(component, policy, scales)
    model = arguments.folder / "model"
    model.mkdir(exist_ok=True)
    size = write_weights({COMPONENT: component}, model)
    ir.save(component.model, model / f"{COMPONENT}.onnx")
    feeds = decoder_samples(component, (9,))[0]
    np.savez(arguments.folder / "feeds.npz", **feeds)
    return {"nodes": nodes, "scales": len(scales), "weights": f"{size:,}"}


def _reference(arguments: argparse.Namespace) -> dict[str, Any]:
    from program.onnx_executor import OnnxExecutor

    executor = OnnxExecutor(arguments.folder / "model" / f"{COMPONENT}.onnx", threads=1)
    started = time.perf_counter()
    outputs = executor(dict(np.load(arguments.folder / "feeds.npz")))
    np.savez(arguments.folder / "reference.npz", **outputs)
    return {"step": f"{time.perf_counter() - started:.1f} s", "finite": _finite(outputs)}


def _lower(arguments: argparse.Namespace) -> dict[str, Any]:
    import dataclasses

    from targets.contract.registry import find_target
    from targets.devices.catalogue import find_device

    component, device = _component(arguments), find_device(arguments.device)
    binaries = arguments.folder / "cpu"
    binaries.mkdir(exist_ok=True)
    target = find_target(device.target)
    target.partition(component, device).require_complete()
    lowered = target.lower(component, device, arguments.folder / "model" / "weights.bin", binaries)
    (arguments.folder / "lowered.json").write_text(json.dumps(dataclasses.asdict(lowered), default=list))
    return {
        "kernels": lowered.kernels,
        "code": f"{lowered.code_bytes:,}",
        "arena": f"{lowered.arena_bytes:,}",
    }


def _execute(arguments: argparse.Namespace) -> dict[str, Any]:
    from program.agreement import relative_error, signal_to_noise
    from targets.contract.registry import find_target
    from targets.contract.target import Lowered
    from targets.devices.catalogue import find_device

    component, device = _component(arguments), find_device(arguments.device)
    lowered = Lowered.from_json(json.loads((arguments.folder / "lowered.json").read_text()))
    weights = arguments.folder / "model" / "weights.bin"
    feeds = dict(np.load(arguments.folder / "feeds.npz"))
    expected = np.load(arguments.folder / "reference.npz")["logits"]
    with find_target(device.target).execute(component, lowered, arguments.folder / "cpu", weights) as run:
        started = time.perf_counter()
        logits = run(feeds)["logits"]
        seconds = time.perf_counter() - started
    return {
        "step": f"{seconds:.1f} s in {' '.join(lowered.emulator[:1]) or 'native'}",
        "relative error": f"{relative_error(expected, logits):.2e}",
        "SQNR": f"{signal_to_noise(expected, logits):.1f} dB",
        "same token": bool(expected.argmax() == logits.argmax()),
    }


STAGES = {"write": _write, "prepare": _prepare, "reference": _reference, "lower": _lower, "execute": _execute}


def _timed(arguments: argparse.Namespace) -> dict[str, Any]:
    started = time.perf_counter()
    shown = STAGES[arguments.stage](arguments)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    peak = max(own.ru_maxrss, children.ru_maxrss) / 1024
    return {"wall": time.perf_counter() - started, "cpu": cpu, "peak_mb": peak, "shown": shown}


def _source(arguments: argparse.Namespace) -> Path:
    return Path(arguments.folder) / "source"


def _component(arguments: argparse.Namespace) -> Any:
    import onnx_ir as ir

    from program.program import Component, Modality, Role

    model = ir.load(arguments.folder / "model" / f"{COMPONENT}.onnx")
    return Component(COMPONENT, Role.DECODE, Modality.TEXT, model)


def _finite(outputs: dict[str, Any]) -> bool:
    return all(bool(np.isfinite(values.astype(np.float32)).all()) for values in outputs.values())


if __name__ == "__main__":
    main()
