"""A stack of decoder blocks: agreement by precision, shared kernels, equal bytes from equal input."""

import hashlib

import numpy as np
import onnx_ir as ir
import pytest

from npuc.compare.bounds import AGREEMENT_BOUNDS
from program.agreement import relative_error, signal_to_noise
from tests.targets.support import AARCH64, X86, fp8_tensor, make_component

HIDDEN, HEADS, SEQUENCE, INNER = 64, 4, 8, 128
HEAD = HIDDEN // HEADS
_LINEAR = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "o": (HIDDEN, HIDDEN)}
_LINEAR |= {"gate": (HIDDEN, INNER), "up": (HIDDEN, INNER), "down": (INNER, HIDDEN)}
_FP8 = {"e4m3": (17, ir.DataType.FLOAT8E4M3FN), "e5m2": (19, ir.DataType.FLOAT8E5M2)}
NAMES = ("float32", "float16", "e4m3", "e5m2")


def decoder(layers, precision):
    """RMS norm, causal attention and gated MLP, `layers` times."""
    rng = np.random.default_rng(17)
    element = np.float32 if precision == "float32" else np.float16
    constants = {
        "heads": np.array([1, SEQUENCE, HEADS, HEAD]),
        "merged": np.array([1, SEQUENCE, HIDDEN]),
        "root": np.array(HEAD**-0.5, element),
    }
    lines = []
    for layer in range(layers):
        for name, shape in _LINEAR.items():
            _add_weight(constants, f"{name}{layer}", rng, shape, precision, element)
        constants[f"n{layer}"] = rng.uniform(0.8, 1.2, HIDDEN).astype(element)
        constants[f"m{layer}"] = rng.uniform(0.8, 1.2, HIDDEN).astype(element)
        lines.append(_block(layer, precision))
    kind = "float" if precision == "float32" else "float16"
    text = (
        f"({kind}[1,{SEQUENCE},{HIDDEN}] x0, {kind}[1,1,{SEQUENCE},{SEQUENCE}] mask) "
        f"=> ({kind}[1,{SEQUENCE},{HIDDEN}] x{layers}) {{ {' '.join(lines)} }}"
    )
    return make_component(text, constants, name="decoder")


def _add_weight(constants, name, rng, shape, precision, element):
    weight = (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
    if precision not in _FP8:
        constants[name] = weight.astype(element)
        return
    dtype = _FP8[precision][1]
    scale = (np.abs(weight).max(0) / (448 if precision == "e4m3" else 57344)).astype(np.float32)
    scale = scale if precision == "e4m3" else np.maximum(scale, 2.0**-24)
    scale = scale.astype(element)
    codes = (weight / scale.astype(np.float32)).astype(dtype.numpy()).view(np.uint8)
    constants[name] = fp8_tensor(codes, dtype, name)
    constants[f"{name}_s"] = scale
    constants[f"{name}_a"] = np.array(0.02 + 0.001 * len(constants) / 40, element)


def _linear(x, name, y, precision):
    if precision not in _FP8:
        return f"{y} = MatMul({x}, {name})"
    number = _FP8[precision][0]
    return (
        f"{y}_q = QuantizeLinear<output_dtype={number}>({x}, {name}_a) {y}_d = DequantizeLinear({y}_q, {name}_a) "
        f"{y}_w = DequantizeLinear<axis=1>({name}, {name}_s) {y} = MatMul({y}_d, {y}_w)"
    )


def _block(i, precision):
    def linear(x, name, y):
        return _linear(f"{x}_{i}", f"{name}{i}", f"{y}_{i}", precision)

    return f"""
    h_{i} = RMSNormalization(x{i}, n{i})
    {linear("h", "q", "q")} {linear("h", "k", "k")} {linear("h", "v", "v")}
    q4_{i} = Reshape(q_{i}, heads) k4_{i} = Reshape(k_{i}, heads) v4_{i} = Reshape(v_{i}, heads)
    qt_{i} = Transpose<perm=[0,2,1,3]>(q4_{i}) kt_{i} = Transpose<perm=[0,2,3,1]>(k4_{i})
    vt_{i} = Transpose<perm=[0,2,1,3]>(v4_{i})
    s_{i} = MatMul(qt_{i}, kt_{i}) r_{i} = Mul(s_{i}, root) a_{i} = Add(r_{i}, mask) p_{i} = Softmax<axis=-1>(a_{i})
    c_{i} = MatMul(p_{i}, vt_{i}) ct_{i} = Transpose<perm=[0,2,1,3]>(c_{i}) cm_{i} = Reshape(ct_{i}, merged)
    {linear("cm", "o", "o")} b_{i} = Add(x{i}, o_{i}) g_{i} = RMSNormalization(b_{i}, m{i})
    {linear("g", "gate", "gate")} {linear("g", "up", "up")} z_{i} = Sigmoid(gate_{i}) y_{i} = Mul(gate_{i}, z_{i})
    u_{i} = Mul(y_{i}, up_{i}) {linear("u", "down", "down")} x{i + 1} = Add(b_{i}, down_{i})
    """


def feeds_of(component):
    kind = component.inputs[0].numpy_dtype
    x = np.random.default_rng(3).standard_normal((1, SEQUENCE, HIDDEN)).astype(kind)
    mask = np.triu(np.full((SEQUENCE, SEQUENCE), -1e4), 1).astype(kind)[None, None]
    return {"x0": x, "mask": mask}


@pytest.fixture(scope="module")
def two_layers(build):
    return {precision: build(decoder(2, precision)) for precision in NAMES}


@pytest.mark.parametrize("precision", NAMES)
def test_block_agrees_within_the_bound_of_its_precision(two_layers, precision):
    built = two_layers[precision]
    feeds = feeds_of(built.component)
    reference, actual = built.reference(feeds)["x2"], built.run(feeds)["x2"]
    assert relative_error(reference, actual) <= AGREEMENT_BOUNDS[precision]
    # where rounding after each operator is defined, both sides take the same roundings almost everywhere
    assert (
        signal_to_noise(reference, actual)
        >= {"float32": 100, "float16": 60, "e4m3": 40, "e5m2": 40}[precision]
    )
    assert built.compiled.unscheduled == ()


@pytest.mark.parametrize("precision", ["float32", "e4m3"])
def test_aarch64_binary_agrees_under_the_emulator(build, precision):
    built = build(decoder(1, precision), AARCH64)
    feeds = feeds_of(built.component)
    assert relative_error(built.reference(feeds)["x1"], built.run(feeds)["x1"]) <= AGREEMENT_BOUNDS[precision]


@pytest.mark.parametrize("precision", ["float32", "e4m3"])
def test_equal_layers_share_kernels(build, two_layers, precision):
    deeper = build(decoder(6, precision)).compiled
    shallow = two_layers[precision].compiled
    assert deeper.kernels == shallow.kernels
    assert deeper.calls == 3 * shallow.calls
    assert deeper.code_bytes == shallow.code_bytes


@pytest.mark.parametrize("cpu", [X86, AARCH64], ids=["x86-64", "aarch64"])
def test_equal_input_gives_equal_bytes(build, cpu):
    builds = [build(decoder(1, "e5m2"), cpu) for _ in range(2)]
    digests = [
        {file: hashlib.sha256((b.folder / file).read_bytes()).hexdigest() for file in b.compiled.files}
        for b in builds
    ]
    assert digests[0] == digests[1]
    program = (builds[0].folder / "decoder").read_bytes()
    assert str(builds[0].folder).encode() not in program
