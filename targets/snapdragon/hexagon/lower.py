"""An integer program → static program for the emulator and object file for the device."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from program.program import Component
from targets.errors import TargetError
from targets.snapdragon.hexagon.build import compile_for, hexagon_code, link_program, write_sources
from targets.snapdragon.hexagon.executor import HexagonExecutor, code_spec
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.processor import DEVICE, EXECUTED, Processor
from targets.snapdragon.hexagon.program.layout_pass import packed_steps
from targets.snapdragon.hexagon.program.plain_pass import plain_steps
from targets.snapdragon.hexagon.program.program import IntegerProgram

Layout = Literal["packed", "plain", "autovectorized"]
"""`packed` ships; the others are what it is compared with: the graph's own layout, scalar or with LLVM's vectoriser."""


@dataclasses.dataclass(frozen=True)
class HexagonBinary:
    """What was written.

    Attributes:
        program: What it computes.
        folder: Of the files.
        files: Names, sorted.
        executable: The static program for `EXECUTED`.
        device_object: Kernels for the device: compiled, never executed here.
        arena_bytes: Scratch memory of a run.
        constant_bytes: Weights, tables and scales inside the program.
        code_bytes: Of the device's object file, else of the executed one.
        kernels: Names of the distinct kernels.
        calls: Kernel calls of a run.
    """

    program: IntegerProgram
    folder: Path
    files: tuple[str, ...]
    executable: str
    device_object: str | None
    arena_bytes: int
    constant_bytes: int
    code_bytes: int
    kernels: tuple[str, ...]
    calls: int

    def executor(self, time_limit_s: float = 600.0) -> HexagonExecutor:
        """Opens the static program under `qemu-hexagon`.

        Raises:
            ToolError: The emulator is not installed.
        """
        program = self.program
        path = self.folder / self.executable
        inputs, outputs = program.inputs, program.outputs
        return HexagonExecutor(path, inputs, outputs, time_limit_s, coded=program.coded)


def lower_program(
    program: IntegerProgram,
    folder: Path,
    layout: Layout = "packed",
    *,
    strip: bool = True,
    device: Processor | None = DEVICE,
) -> HexagonBinary:
    """Lowers an integer program.

    Args:
        program: From the importer.
        folder: Existing folder to write into.
        layout: Which kernels.
        strip: Leave the symbols out of the static program.
        device: Processor whose object file is written too, if any.

    Raises:
        TargetError: An operation has no kernel.
        ToolError: The cross compiler is missing or fails.
    """
    steps = packed_steps(program) if layout == "packed" else plain_steps(program)
    inputs, outputs = (
        tuple(code_spec(tensor) for tensor in tensors) for tensors in (program.inputs, program.outputs)
    )
    code = hexagon_code(program.name, steps, inputs, outputs)
    processors = [EXECUTED] if device is None else [EXECUTED, device]
    names = {processor: f"{program.name}_kernels_{processor.version}.o" for processor in processors}
    for processor, name in names.items():
        compile_for(code, processor, folder / name, autovectorize=layout == "autovectorized")
    files = write_sources(code.code, folder)
    executable = link_program(code.code, EXECUTED, names[EXECUTED], folder, strip=strip)
    return HexagonBinary(
        program,
        folder,
        tuple(sorted([*files, *names.values(), executable])),
        executable,
        None if device is None else names[device],
        code.code.arena_bytes,
        len(code.code.sequence.constants),
        (folder / names[device or EXECUTED]).stat().st_size,
        tuple(sorted(code.kernels)),
        len(code.code.sequence.calls),
    )


def lower_hexagon(component: Component, out_dir: Path, layout: Layout = "packed") -> HexagonBinary:
    """Lowers a quantised component whole.

    Args:
        component: QDQ graph; see `hexagon_refusal` for what is taken.
        out_dir: Existing folder to write into.
        layout: Which kernels.

    Raises:
        TargetError: A node has no integer kernel, or the component's name is no C identifier.
        ToolError: The cross compiler is missing or fails.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", component.name):
        raise TargetError(
            "the component's name is not a C identifier in lower case",
            received=component.name,
            remedy="rename it to [a-z][a-z0-9_]*",
        )
    return lower_program(import_integer_program(component), out_dir, layout)
