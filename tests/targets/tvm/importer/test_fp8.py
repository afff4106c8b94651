"""FP8 codes on every CPU that can be executed here: all codes decoded, all float16 values encoded."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from program.agreement import relative_error
from tests.targets.support import AARCH64, X86, fp8_tensor, make_component

FORMATS = {
    "FLOAT8E4M3FN": (17, ml_dtypes.float8_e4m3fn, 448.0),
    "FLOAT8E5M2": (19, ml_dtypes.float8_e5m2, 57344.0),
}
CPUS = {"x86-64": X86, "aarch64": AARCH64}
CODES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", FORMATS)
def test_decode_is_exact_for_all_codes_and_encode_for_all_float16_values(build, cpu, name):
    number, numpy_type, largest = FORMATS[name]
    text = (
        "(float16[65536] h, int64[256] i) => (float[256] decoded, float16[256] decoded_half, float[65536] rounded) { "
        f"c = DequantizeLinear(codes, one) decoded = Gather(c, i) "
        f"d = DequantizeLinear(codes, one_half) decoded_half = Gather(d, i) "
        f"q = QuantizeLinear<output_dtype={number}, saturate=1>(h, one_half) rounded = DequantizeLinear(q, one) }}"
    )
    dtype = ir.DataType[name]
    constants = {
        "codes": fp8_tensor(CODES, dtype, "codes"),
        "one": np.array(1.0, np.float32),
        "one_half": np.array(1.0, np.float16),
    }
    component = make_component(text, constants)
    every_half = np.arange(65536, dtype=np.uint16).view(np.float16)
    outputs = build(component, CPUS[cpu]).run({"h": every_half, "i": np.arange(256)})
    with np.errstate(invalid="ignore", over="ignore"):
        exact = CODES.view(numpy_type).astype(np.float32)
        clipped = np.clip(every_half.astype(np.float32), -largest, largest)
        expected = clipped.astype(numpy_type).astype(np.float32)
        half = exact.astype(np.float16)
    np.testing.assert_array_equal(outputs["decoded"], exact)
    np.testing.assert_array_equal(outputs["decoded_half"], half)
    np.testing.assert_array_equal(outputs["rounded"], expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.signbit(outputs["rounded"][finite]), np.signbit(expected[finite]))


def _weight(rng, dtype, shape):
    limit = 0x7E if dtype == ir.DataType.FLOAT8E4M3FN else 0x7B
    return rng.integers(0, limit, shape).astype(np.uint8) | (rng.integers(0, 2, shape) << 7).astype(np.uint8)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("base", ["float", "float16"])
def test_fp8_weight_is_decoded_inside_the_product(build, name, base):
    rng = np.random.default_rng(5)
    dtype, element = ir.DataType[name], np.float32 if base == "float" else np.float16
    codes = _weight(rng, dtype, (64, 48))
    scale_size = 1e-3 if name == "FLOAT8E4M3FN" else 1e-5
    constants = {
        "w": fp8_tensor(codes, dtype, "w"),
        "s": (rng.uniform(1, 2, 48) * scale_size).astype(element),
        "sx": np.array(0.02, element),
    }
    number = FORMATS[name][0]
    text = (
        f"({base}[1,4,64] x) => (y) {{ xq = QuantizeLinear<output_dtype={number}>(x, sx) xd = DequantizeLinear(xq, sx) "
        "wd = DequantizeLinear<axis=1>(w, s) y = MatMul(xd, wd) }"
    )
    built = build(make_component(text, constants))
    feeds = {"x": rng.standard_normal((1, 4, 64)).astype(element)}
    bound = 2e-6 if base == "float" else 2**-10
    assert relative_error(built.reference(feeds)["y"], built.run(feeds)["y"]) <= bound
    assert len(built.compiled.kernels) == 2  # quantise-dequantise of x; the product with its decode
    # nothing the size of the decoded weight fits into the scratch memory
    assert built.compiled.arena_bytes < 64 * 48 * element().itemsize


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
def test_integer_quantisation_agrees_with_onnxruntime(build, kind):
    rng = np.random.default_rng(6)
    constants = {
        "s": np.array(0.031, np.float32),
        "z": np.array(3, kind),
        "ws": rng.uniform(0.01, 0.02, 5).astype(np.float32),
        "wz": rng.integers(0, 4, 5).astype(kind),
        "w": rng.integers(0, 100, (5, 32)).astype(kind),
    }
    text = (
        "(float[4,32] x) => (q, y, g) { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) "
        "wd = DequantizeLinear<axis=0>(w, ws, wz) y = Gemm<transB=1>(d, wd) g = Identity(wd) }"
    )
    built = build(make_component(text, constants))
    feeds = {"x": (rng.standard_normal((4, 32)) * 3).astype(np.float32)}
    reference, actual = built.reference(feeds), built.run(feeds)
    np.testing.assert_array_equal(actual["q"], reference["q"])
    np.testing.assert_array_equal(actual["g"], reference["g"])
    assert relative_error(reference["y"], actual["y"]) <= 2e-6
