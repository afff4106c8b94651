"""Prepares the decoder of Qwen3-VL-4B for HTP part by part, and prints time, bytes and peak memory.

    python -m benchmarks.htp_decoder_4b [--scheme a16w8] [--layers 36] [--part-mb 420] [--folder build/decoder]

The weights are random (seeded). Prefill and decode are cut at the same layers, requantised with calibration on random
hidden states, and share one binary a part. One decode step runs through all parts in the vendor's emulation;
`--prefill-part 0` executes the prefill graph of that part too, which takes minutes. Needs 20 GB of disk and
`npuc tools install snapdragon --accept-licence`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.htp_decoder.checkpoint import write_random_checkpoint
from benchmarks.htp_decoder.memory import PeakMemory
from benchmarks.htp_decoder.part import PartJob, PartResult, Samples, process_part
from benchmarks.htp_decoder.samples import decoder_samples
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.sources import open_source
from passes.cut.layer_plan import weight_size
from passes.cut.split_program import Chain, part_bytes, split_program
from passes.integer.scheme import Scheme
from passes.pipeline import directly_read_weights, normalize
from program.agreement import signal_to_noise
from program.program import Component, Program
from targets.snapdragon.socs import find_htp_soc

_DECODERS = ("prefill", "decode")
_BITS = {Scheme.A16W8: 8, Scheme.A8W8: 8, Scheme.A16W4: 4}


def main() -> None:
    """Prints the figures."""
    arguments = _parse()
    arguments.folder.mkdir(parents=True)
    start = time.perf_counter()
    with PeakMemory() as memory:
        program = _capture(arguments)
        whole = {name: program.components[name] for name in _DECODERS}
        samples = _samples(whole, arguments.cache)
        size_of = weight_size(_BITS[arguments.scheme])
        chains, _ = split_program(program, arguments.part_mb * 10**6, size_of)
        print(
            f"captured, cut   {time.perf_counter() - start:.0f} s, peak {memory.peak / 2**30:.2f} GiB",
            flush=True,
        )
        results = []
        for index, pair in enumerate(_pairs(program, chains)):
            execute = _DECODERS if index == arguments.prefill_part else ("decode",)
            job = PartJob(find_htp_soc(arguments.soc), arguments.scheme, arguments.folder, execute)
            planned = part_bytes(pair["prefill"], size_of)
            results.append(process_part(job, index, pair, samples))
            _print_part(index, planned, results[-1], memory)
    _print_logits(samples)
    print(f"binaries        {sum(result.size for result in results):,} bytes in {len(results)} parts")
    print(
        f"total           {time.perf_counter() - start:.0f} s, all processes {memory.peak / 2**30:.2f} GiB at most"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/htp_decoder"), help="new folder")
    parser.add_argument("--scheme", type=Scheme, default=Scheme.A16W8, choices=list(Scheme))
    parser.add_argument("--soc", default="SM8750")
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--part-mb", type=int, default=420, help="weights of one part, in 10^6 bytes")
    parser.add_argument("--prefill", type=int, default=64, help="tokens of a prefill chunk")
    parser.add_argument("--cache", type=int, default=1024, help="tokens in the KV cache")
    parser.add_argument(
        "--prefill-part", type=int, default=-1, help="part whose prefill graph is executed too"
    )
    return parser.parse_args()


def _capture(arguments: argparse.Namespace) -> Program:
    start = time.perf_counter()
    checkpoint = arguments.folder / "checkpoint"
    checkpoint.mkdir()
    size = write_random_checkpoint(checkpoint, arguments.layers)
    print(f"checkpoint      {size:,} random bytes, {time.perf_counter() - start:.0f} s", flush=True)
    # the digest of the weights belongs to an artifact, which is not made here
    ModelFolder.sha256 = lambda _self, _name: ""  # type: ignore[method-assign, assignment]
    options = CaptureOptions(prefill_length=arguments.prefill, cache_length=arguments.cache)
    program = open_source(str(checkpoint), options)
    keep = directly_read_weights(program)
    program.components = {name: program.components[name] for name in _DECODERS}
    for component in program.components.values():
        normalize(component, keep)
    return program


def _samples(whole: Mapping[str, Component], cache: int) -> Samples:
    """A chunk of prefill behind a half full cache; decode steps with one cached token and with many."""
    lengths = {"prefill": (cache // 2,), "decode": (1, cache // 2)}
    floats = {name: decoder_samples(component, lengths[name]) for name, component in whole.items()}
    return Samples(floats, dict(floats["decode"][-1]))


def _pairs(program: Program, chains: Sequence[Chain]) -> list[dict[str, Component]]:
    """Prefill and decode of each part; the whole components where nothing was cut."""
    names = [chain.parts for chain in chains] or [(name,) for name in _DECODERS]
    parts = [[program.components[name] for name in row] for row in names]
    return [dict(zip(_DECODERS, pair, strict=True)) for pair in zip(*parts, strict=True)]


def _print_part(index: int, planned: int, result: PartResult, memory: PeakMemory) -> None:
    steps = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in result.seconds.items())
    ratio = result.size / result.weights
    print(f"part {index:<2d} planned {planned:,}, binary {result.size:,} bytes, {ratio:.3f} x the weights")
    print(f"        all processes {memory.peak / 2**30:.2f} GiB at most so far")
    print(f"        {steps}")
    for name, outputs in result.agreement.items():
        worst = min(outputs, key=lambda output: outputs[output])
        states = ", ".join(
            f"{key} {value:.1f}" for key, value in outputs.items() if not key.startswith("new_")
        )
        print(f"        {name}: {states}; least {worst} {outputs[worst]:.1f} dB", flush=True)


def _print_logits(samples: Samples) -> None:
    reference, received = samples.floats["decode"][-1]["logits"], samples.device["logits"]
    ratio = signal_to_noise(reference, received)
    same = "the same" if reference.argmax() == received.argmax() else "another"
    print(f"decode step     logits of the emulated chain against float32 {ratio:.1f} dB, {same} token")


if __name__ == "__main__":
    main()
