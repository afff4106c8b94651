import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import Override, PrecisionPolicy, weight_of
from passes.pipeline import NORMALISATION, PASSES, create_pass, directly_read_weights, normalize, quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import MODALITY_KEY, Modality, Program

RNG = np.random.default_rng(0)
WIDTH, HEADS, ROWS = 32, 4, 6

BLOCK = f"""g (float[1,{ROWS},{WIDTH}] x, float[{WIDTH}] norm, float[{WIDTH},{WIDTH}] q, float[{WIDTH},{WIDTH}] k,
  float[{WIDTH},{WIDTH}] v, float[{WIDTH},{WIDTH}] o, float[{2 * WIDTH},{WIDTH}] up, float[{WIDTH},{2 * WIDTH}] down,
  float[{2 * WIDTH}] bias) => (float[1,{ROWS},{WIDTH}] y) {{
  n = RMSNormalization<epsilon=1e-6>(x, norm)
  qt = Transpose<perm=[1,0]>(q)  kt = Transpose<perm=[1,0]>(k)  vt = Transpose<perm=[1,0]>(v)
  qh = MatMul(n, qt)  kh = MatMul(n, kt)  vh = MatMul(n, vt)
  a = Attention<q_num_heads={HEADS}, kv_num_heads={HEADS}, is_causal=1>(qh, kh, vh)
  ot = Transpose<perm=[1,0]>(o)  p = MatMul(a, ot)  r = Add(x, p)
  flat = Constant<value = int64[2] {{{ROWS},{WIDTH}}}>()  rows = Reshape(r, flat)
  h = Gemm<transB=1>(rows, up, bias)  g = Gelu(h)  d = Gemm<transB=1>(g, down)
  full = Constant<value = int64[3] {{1,{ROWS},{WIDTH}}}>()  back = Reshape(d, full)  y = Add(r, back)
}}"""


def weights():
    rng = np.random.default_rng(3)
    shapes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "o": (WIDTH, WIDTH)}
    shapes |= {"up": (2 * WIDTH, WIDTH), "down": (WIDTH, 2 * WIDTH), "bias": (2 * WIDTH,), "norm": (WIDTH,)}
    return {
        name: (rng.standard_normal(shape) / np.sqrt(WIDTH)).astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.fixture
def block(model_from, component_of):
    return lambda: component_of(model_from(BLOCK, weights()), "decode", Modality.TEXT)


def feeds(count=4):
    rng = np.random.default_rng(5)
    return [{"x": rng.standard_normal((1, ROWS, WIDTH)).astype(np.float32)} for _ in range(count)]


def test_a_decoder_block_is_normalised(block, parity):
    component = block()
    normalize(component)
    kinds = {node.op_type for node in component.model.graph}
    assert kinds <= {
        "Mul",
        "ReduceMean",
        "Add",
        "Sqrt",
        "Div",
        "MatMul",
        "Reshape",
        "Transpose",
        "Softmax",
        "Gelu",
    }
    assert all(node.metadata_props[MODALITY_KEY] == "text" for node in component.model.graph)
    assert all(v.shape.is_static() for node in component.model.graph for v in node.outputs)
    parity(block().model, component.model)


def test_normalising_twice_changes_nothing(block):
    component = block()
    normalize(component)
    once = [node.op_type for node in component.model.graph]
    normalize(component)
    assert [node.op_type for node in component.model.graph] == once


def test_only_weights_keep_global_names(block):
    component = block()
    normalize(component)
    names = {name for name in component.model.graph.initializers if not name.startswith("decode/")}
    assert names == {"norm", "bias"} | {f"{name}.transposed" for name in ("q", "k", "v", "o", "up", "down")}


@pytest.mark.parametrize("base", [Format.FLOAT16, Format.FLOAT32])
def test_default_policy_end_to_end(base, block):
    component, original = block(), block()
    normalize(component)
    policy = PrecisionPolicy(base=base, by_modality={Modality.TEXT: Format.E4M3})
    scales = calibrate(component.model, feeds(), policy, calibration_method("least_error"))
    remarks = quantize(component, policy, scales)
    assert len([r for r in remarks if r.what == "e4m3"]) == 6
    assert component.inputs[0].dtype == base.onnx
    (feed,) = feeds(1)
    expected = OnnxExecutor(original.model)(feed)["y"]
    received = OnnxExecutor(component.model)({"x": feed["x"].astype(base.numpy)})["y"].astype(np.float32)
    assert received.shape == expected.shape
    assert 20 * np.log10(np.linalg.norm(expected) / np.linalg.norm(received - expected)) > 25


def test_float16_alone_stays_close(block):
    component, original = block(), block()
    normalize(component)
    quantize(component, PrecisionPolicy(by_modality={}), {})
    (feed,) = feeds(1)
    expected = OnnxExecutor(original.model)(feed)["y"]
    received = OnnxExecutor(component.model)({"x": feed["x"].astype(np.float16)})["y"]
    np.testing.assert_allclose(received, expected, atol=5e-3)


def test_one_layer_can_stay_in_float32(block):
    component = block()
    normalize(component)
    policy = PrecisionPolicy(by_modality={}, overrides=(Override("up.transposed", Format.FLOAT32),))
    quantize(component, policy, {})
    types = {node.inputs[1].name: node.inputs[1].dtype for node in component.model.graph if weight_of(node)}
    assert types["up.transposed.float32"] == ir.DataType.FLOAT
    assert types["down.transposed"] == ir.DataType.FLOAT16
    received = OnnxExecutor(component.model)({"x": feeds(1)[0]["x"].astype(np.float16)})["y"]
    np.testing.assert_allclose(received, OnnxExecutor(block().model)(feeds(1)[0])["y"], atol=5e-3)


def test_a_float16_capture_has_no_float32_base(model_from, component_of):
    component = component_of(model_from("g (float16[2] x) => (float16[2] y) { y = Neg(x) }"))
    with pytest.raises(PassError, match="captured in float16"):
        quantize(component, PrecisionPolicy(base=Format.FLOAT32), {})


def test_quantised_bytes_repeat(block, tmp_path):
    written = []
    for _ in range(2):
        component = block()
        normalize(component)
        policy = PrecisionPolicy()
        quantize(component, policy, calibrate(component.model, feeds(), policy, calibration_method("absmax")))
        ir.save(component.model, tmp_path / "model.onnx")
        written.append((tmp_path / "model.onnx").read_bytes())
    assert written[0] == written[1]


def test_registry_and_order_agree(block):
    assert set(NORMALISATION) == set(PASSES)
    for name in PASSES:
        created = create_pass(name, block())
        assert type(created).__name__.lower() == name.replace("_", "")


def test_unknown_passes_are_refused(block):
    with pytest.raises(PassError, match="use one of"):
        normalize(block(), names=["fold_everything"])


def test_observer_sees_every_pass(block):
    seen = []
    normalize(block(), on_pass=lambda name, model, seconds: seen.append(name))
    assert len(seen) == len(NORMALISATION)


def test_tied_embeddings_are_found_across_components(model_from, component_of):
    table = RNG.standard_normal((8, 4)).astype(np.float32)
    embed = "g (int64[2] ids, float[8,4] table) => (float[2,4] y) { y = Gather(table, ids) }"
    head = "g (float[2,4] x, float[8,4] table) => (float[2,8] y) { t = Transpose<perm=[1,0]>(table) y = MatMul(x, t) }"
    parts = {
        name: component_of(model_from(text, {"table": table}), name)
        for name, text in (("embed", embed), ("head", head))
    }
    program = Program("test", parts, {}, {}, (), {})
    keep = directly_read_weights(program)
    assert keep == {"table"}
    normalize(parts["head"], keep)
    assert [node.op_type for node in parts["head"].model.graph] == ["Gemm"]
    assert list(parts["head"].model.graph.initializers) == ["table"]
