"""Builds small components from ONNX text and runs them as binaries and in ONNX Runtime."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import parser
from onnx.reference import ReferenceEvaluator

from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Modality, Role
from targets.tvm.component_compiler import CompiledComponent, compile_component
from targets.tvm.executor import AARCH64_EMULATOR, EmulatedExecutor

X86 = ("x86_64-linux-musl", ("+avx2", "+fma", "+f16c"), ())
AARCH64 = ("aarch64-linux-musl", ("+v8.6a", "+dotprod", "+i8mm", "+bf16", "+fullfp16"), AARCH64_EMULATOR)

_ALIGNMENT = 128


def make_component(
    text: str, initializers: Mapping[str, ir.TensorProtocol | Array] | None = None, name: str = "model"
) -> Component:
    """A component from `(inputs) => (outputs) { nodes }` and its initializers; shapes are inferred."""
    proto = parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {name} {text}')
    for node in proto.graph.node:
        node.name = node.output[0]
    for key, tensor in (initializers or {}).items():
        proper = tensor if isinstance(tensor, ir.TensorProtocol) else ir.tensor(np.asarray(tensor), name=key)
        serialized = ir.to_proto(proper)
        serialized.name = key
        proto.graph.initializer.append(serialized)
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    return Component(name, Role.MODEL, Modality.TEXT, ir.from_proto(inferred))


def fp8_tensor(codes: Array, dtype: ir.DataType, name: str) -> ir.TensorProtocol:
    """An FP8 tensor from its uint8 codes."""
    return ir.Tensor(codes.view(dtype.numpy()), dtype=dtype, name=name)


def write_weights(components: Sequence[Component], folder: Path, threshold: int = 256) -> Path:
    """Moves larger initializers into one file, once by name, and rebinds the graphs to it."""
    path = folder / "weights.bin"
    placed: dict[str, ir.ExternalTensor] = {}
    with path.open("wb") as file:
        for component in components:
            for key, value in component.model.graph.initializers.items():
                tensor = value.const_value
                if tensor is None or tensor.nbytes < threshold or isinstance(tensor, ir.ExternalTensor):
                    continue
                if key not in placed:
                    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                    offset = file.tell()
                    file.write(tensor.tobytes())
                    placed[key] = ir.ExternalTensor(
                        path.name,
                        offset,
                        tensor.nbytes,
                        tensor.dtype,
                        shape=ir.Shape(tensor.shape),
                        name=key,
                        base_dir=folder,
                    )
                value.const_value = placed[key]
    return path


@dataclasses.dataclass(frozen=True)
class Built:
    """A compiled component and what is needed to run it."""

    component: Component
    compiled: CompiledComponent
    folder: Path
    weights: Path
    emulator: tuple[str, ...]

    def executor(self, **options: Any) -> EmulatedExecutor:
        binary = self.folder / str(self.compiled.executable)
        inputs, outputs = self.component.inputs, self.component.outputs
        return EmulatedExecutor(binary, self.weights, inputs, outputs, self.emulator, **options)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        with self.executor(time_limit_s=60) as execute:
            return execute(feeds)

    def reference(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return OnnxExecutor(self.component.model, threads=1)(feeds)


class Builder:
    """Compiles components into numbered folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count()

    def __call__(self, component: Component, cpu: tuple[Any, ...] = X86) -> Built:
        folder = self._root / str(next(self._numbers))
        folder.mkdir()
        weights = write_weights([component], folder)
        compiled = compile_component(component, weights, cpu[0], cpu[1], folder)
        return Built(component, compiled, folder, weights, tuple(cpu[2]))


def random_feeds(component: Component, seed: int = 0) -> dict[str, Array]:
    """Seeded normal floats, small non-negative integers, random truth values."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for spec in component.inputs:
        if spec.numpy_dtype.kind == "f":
            feeds[spec.name] = rng.standard_normal(spec.shape).astype(spec.numpy_dtype)
        elif spec.numpy_dtype == np.bool_:
            feeds[spec.name] = rng.random(spec.shape) < 0.5
        else:
            feeds[spec.name] = rng.integers(0, 3, spec.shape).astype(spec.numpy_dtype)
    return feeds


def standard(component: Component, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by the standard's own evaluator."""
    proto = ir.to_proto(component.model)
    results = ReferenceEvaluator(proto).run(None, dict(feeds))
    return dict(zip([value.name for value in proto.graph.output], results, strict=True))


def assert_as_standard(built: Built, feeds: Mapping[str, Array], rtol: float = 1e-6) -> None:
    """The binary returns what the standard's own evaluator does: integers equal, NaN and infinities in place."""
    actual = built.run(feeds)
    for name, expected in standard(built.component, feeds).items():
        producer = str(next(v for v in built.component.model.graph.outputs if v.name == name).producer())
        assert actual[name].dtype == expected.dtype, producer
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(actual[name], expected, rtol=rtol, atol=1e-6, err_msg=producer)
        else:
            np.testing.assert_array_equal(actual[name], expected, err_msg=producer)
