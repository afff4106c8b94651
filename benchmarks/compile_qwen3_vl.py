"""Compiles a Qwen3-VL-4B folder of random weights with `npuc compile`, and prints time, bytes and peak memory.

    python -m benchmarks.compile_qwen3_vl [--layers 36] [--vision-layers 24] [--folder build/qwen3_vl] [OPTION …]

Every layer has its real size; with fewer layers the figures of depth can be extrapolated. Options behind these go to
`npuc compile`, such as `--device galaxy-s25 --npu a16w8`. In front of each line that it prints stands the most memory
taken until then, by it and the processes it started, without pages of files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.htp_decoder.checkpoint import write_random_checkpoint
from benchmarks.htp_decoder.memory import PeakMemory

_GIB = 2**30


def main() -> None:
    """Prints the figures."""
    arguments, options = _parse()
    checkpoint, out = arguments.folder / "checkpoint", arguments.folder / "artifact"
    if not checkpoint.exists():
        checkpoint.mkdir(parents=True)
        write_random_checkpoint(checkpoint, arguments.layers, arguments.vision_layers)
    weights = checkpoint / "model.safetensors"
    print(f"checkpoint      {weights.stat().st_size:,} bytes", flush=True)
    command = [sys.executable, "-m", "npuc", "compile", str(checkpoint), "-o", str(out), *options]
    start = time.perf_counter()
    with (
        PeakMemory() as memory,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in process.stdout or ():
            print(f"{memory.private / _GIB:5.2f} GiB | {line}", end="", flush=True)
        status = process.wait()
    seconds = time.perf_counter() - start
    print(f"npuc compile    exit code {status}, {seconds:.0f} s")
    print(
        f"memory          {memory.private / _GIB:.2f} GiB, with pages of files {memory.peak / _GIB:.2f} GiB"
    )
    print(f"artifact        {sum(path.stat().st_size for path in out.rglob('*') if path.is_file()):,} bytes")
    sys.exit(status)


def _parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/qwen3_vl"), help="checkpoint and artifact")
    parser.add_argument("--layers", type=int, default=36, help="decoder layers, 36 in the model")
    parser.add_argument("--vision-layers", type=int, default=24, help="vision layers, 24 in the model")
    return parser.parse_known_args()


if __name__ == "__main__":
    main()
