"""A sequence of kernel calls → header, C file, objects, program."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path

import tvm
from tvm import tirx

from program.program import TensorSpec
from targets.snapdragon.hexagon.processor import TRIPLE, Processor
from targets.snapdragon.hexagon.program.memory_plan import plan_memory
from targets.snapdragon.hexagon.program.step import StepSequence
from targets.tvm import c_source, toolchain
from targets.tvm.call_sequence import CallSequence, KernelCall, Region, TensorView, aligned
from targets.tvm.kernel_object import KernelObject, compile_kernels, used_kernels

RUNTIME_FILES = ("npuc_runtime.h", "npuc_runtime.c", "integer_math.c", "hexagon_support.c")
_RUNNER_FILES = ("main.c", "linux_calls.h")
_PACKAGES = ("targets.tvm", "targets.snapdragon.hexagon")


@dataclasses.dataclass(frozen=True)
class HexagonCode:
    """Calls and kernels, ready to compile for any Hexagon processor.

    Attributes:
        kernels: Distinct kernels by name.
        code: What the C files are made of.
    """

    kernels: dict[str, tirx.PrimFunc]
    code: c_source.ComponentCode

    @property
    def prefix(self) -> str:
        """Of the kernels' symbols."""
        return f"{self.code.name}_"


def hexagon_code(
    name: str, steps: StepSequence, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> HexagonCode:
    """Plans memory and merges equal kernels.

    Args:
        name: C identifier.
        steps: Calls; the buffers of inputs and outputs have the specs' names.
        inputs: Of the program.
        outputs: Of the program.
    """
    regions = {spec.name: Region("input", i) for i, spec in enumerate(inputs)}
    regions |= {spec.name: Region("output", i) for i, spec in enumerate(outputs)}
    offsets, arena = plan_memory(steps, regions.keys())
    regions |= {buffer: Region("arena", offset) for buffer, offset in offsets.items()}
    constants = _Constants()
    calls, functions = [], {}
    for index, step in enumerate(steps.steps):
        kernel = f"{step.kernel.name}_{index}"
        functions[kernel] = step.kernel.function
        views = [TensorView(regions[s], (steps.sizes[s],), "uint8") for s in step.sources]
        views += [constants.view(array.tobytes()) for array in step.kernel.constants]
        views.append(TensorView(regions[step.output], (steps.sizes[step.output],), "uint8"))
        calls.append(KernelCall(kernel, tuple(views)))
    views = [TensorView(regions[spec.name], (spec.nbytes,), "uint8") for spec in outputs]
    sequence = CallSequence(tuple(calls), (), tuple(views), arena, bytes(constants.data))
    kernels, merged = used_kernels(tvm.IRModule(functions), sequence)
    return HexagonCode(kernels, c_source.ComponentCode(name, merged, inputs, outputs, 0, 0))


class _Constants:
    """Aligned constants; equal ones are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def view(self, raw: bytes) -> TensorView:
        if raw not in self._offsets:
            self.data.extend(b"\0" * (aligned(len(self.data)) - len(self.data)))
            self._offsets[raw] = len(self.data)
            self.data.extend(raw)
        return TensorView(Region("constant", self._offsets[raw]), (len(raw),), "uint8")


def compile_for(
    code: HexagonCode, processor: Processor, path: Path, *, autovectorize: bool = False
) -> KernelObject:
    """Compiles the kernels into an object file."""
    target = processor.target(autovectorize=autovectorize)
    return compile_kernels(code.kernels, code.prefix, target, path)


def write_sources(code: c_source.ComponentCode, folder: Path) -> list[str]:
    """Writes header, C file and runtime; returns their names."""
    (folder / f"{code.name}.h").write_text(c_source.render_header(code), "utf-8")
    (folder / f"{code.name}.c").write_text(c_source.render_source(code), "utf-8")
    _copy(RUNTIME_FILES, folder)
    return [f"{code.name}.h", f"{code.name}.c", *RUNTIME_FILES]


def link_program(
    code: c_source.ComponentCode, processor: Processor, kernels: str, folder: Path, *, strip: bool = True
) -> str:
    """Compiles the sources of `write_sources` and links the static program.

    Args:
        code: What the sources were made of.
        processor: The kernels' own.
        kernels: Name of their object file.
        folder: Where everything is.
        strip: Leave out the symbols, which only counting instructions needs.

    Returns:
        Name of the program.

    Raises:
        ToolError: The cross compiler is missing or fails.
    """
    (folder / "runner_config.h").write_text(c_source.render_runner_config(code), "utf-8")
    _copy(_RUNNER_FILES, folder)
    # without -G0 small variables would be addressed from a register that only a full runtime sets up
    flags = (f"-mcpu={processor.cpu}", "-G0")
    sources = (f"{code.name}.c", "main.c", *(n for n in RUNTIME_FILES if n.endswith(".c")))
    objects = [f"{Path(source).stem}.o" for source in sources]
    for source, built in zip(sources, objects, strict=True):
        toolchain.compile_object(TRIPLE, source, built, folder, flags)
    toolchain.link_static(TRIPLE, [*objects, kernels], code.name, folder, flags, strip=strip)
    for temporary in (*objects, "runner_config.h", *_RUNNER_FILES):
        (folder / temporary).unlink()
    return code.name


def _copy(names: tuple[str, ...], folder: Path) -> None:
    for name in names:
        sources = (resources.files(package).joinpath("runtime", name) for package in _PACKAGES)
        text = next(source.read_text("utf-8") for source in sources if source.is_file())
        (folder / name).write_text(text, "utf-8")
