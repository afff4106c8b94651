import numpy as np
import pytest

from passes.normalize.convert_patch_convolution import ConvertPatchConvolution

RNG = np.random.default_rng(0)


def model_for(model_from, size, kernel, attributes, channels=3, outputs=5):
    windows = [s // k for s, k in zip(size, kernel, strict=True)]
    strides = ",".join(map(str, kernel))
    shape = ",".join(map(str, (1, channels, *size)))
    result = ",".join(map(str, (1, outputs, *windows)))
    w = RNG.standard_normal((outputs, channels, *kernel)).astype(np.float32)
    dims = ",".join(map(str, w.shape))
    text = f"""g (float[{shape}] x, float[{dims}] w, float[{outputs}] b) => (float[{result}] y)
    {{ y = Conv<strides=[{strides}]{attributes}>(x, w, b) }}"""
    return lambda: model_from(text, {"w": w, "b": RNG.standard_normal(outputs).astype(np.float32) * 0 + 0.5})


@pytest.mark.parametrize(
    ("size", "kernel"),
    [((8, 12), (4, 4)), ((4, 4), (4, 4)), ((6,), (1,)), ((2, 4, 4), (2, 2, 2)), ((3, 5), (1, 1))],
)
def test_becomes_a_product(size, kernel, model_from, parity):
    make = model_for(model_from, size, kernel, "")
    model = make()
    assert ConvertPatchConvolution()(model).modified
    assert [node.op_type for node in model.graph].count("MatMul") == 1
    assert sorted(model.graph.initializers)[-1] == "w.matrix"
    assert model.graph.initializers["w.matrix"].const_value.shape == (3 * np.prod(kernel), 5)
    parity(make(), model)


def test_one_window_needs_no_transpose(model_from, same_graph):
    make = model_for(model_from, (4, 4), (4, 4), "")
    model = make()
    weight = model.graph.initializers["w"].const_value.numpy()
    bias = model.graph.initializers["b"].const_value.numpy()
    ConvertPatchConvolution()(model)
    expected = """g (float[1,3,4,4] x, float[48,5] w, float[5] b) => (float[1,5,1,1] y)
    <int64[3] rows = {1,1,48}, int64[4] shape = {1,5,1,1}>
    { r = Reshape(x, rows)  m = MatMul(r, w)  a = Add(m, b)  y = Reshape(a, shape) }"""
    same_graph(model, model_from(expected, {"w": weight.reshape(5, 48).T.copy(), "b": bias}))


@pytest.mark.parametrize("attributes", [", pads=[1,1,1,1]", ", dilations=[2,2]", ", group=3"])
def test_overlapping_or_padded_windows_stay(attributes, model_from):
    channels_of_weight = 1 if "group" in attributes else 3
    w = np.ones((6, channels_of_weight, 2, 2), np.float32)
    text = f"""g (float[1,3,8,8] x, float[6,{channels_of_weight},2,2] w) => (float[1,6,n,m] y)
    {{ y = Conv<strides=[2,2]{attributes}>(x, w) }}"""
    assert not ConvertPatchConvolution()(model_from(text, {"w": w})).modified
