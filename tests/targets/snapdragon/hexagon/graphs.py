"""Quantised graphs in ONNX text."""

import numpy as np

from tests.targets.support import make_component

SCALE, ZERO = np.asarray(0.05, np.float32), np.asarray(117, np.uint8)


def network():
    """Convolution with ReLU, transposition, product with bias, layer norm, Gelu, product of two, softmax."""
    rng = np.random.default_rng(0)
    steps = {"s": SCALE, "z": ZERO, "fine": np.asarray(0.02, np.float32), "half": np.asarray(128, np.uint8)}
    weights = {
        "wq": rng.integers(-127, 128, (24, 10, 3)).astype(np.int8),
        "ws": np.full(24, 0.004, np.float32),
        "bias": rng.normal(0, 1, 24).astype(np.float32),
        "mq": rng.integers(-127, 128, (24, 16)).astype(np.int8),
        "ms": rng.uniform(0.002, 0.004, 16).astype(np.float32),
        "mb": rng.normal(0, 1, 16).astype(np.float32),
        "gain": rng.normal(1, 0.2, 16).astype(np.float32),
        "shift": rng.normal(0, 0.2, 16).astype(np.float32),
        "part": np.asarray(1 / 256, np.float32),
        "none": np.asarray(0, np.uint8),
    }
    text = """(float[1,10,12] x) => (float[1,12,16] y) {
        xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)
        w = DequantizeLinear<axis=0>(wq, ws)
        c = Conv<pads=[1,1], kernel_shape=[3]>(xd, w, bias)  r = Relu(c)
        rq = QuantizeLinear(r, s, none)  rd = DequantizeLinear(rq, s, none)
        t = Transpose<perm=[0,2,1]>(rd)
        tq = QuantizeLinear(t, s, none)  td = DequantizeLinear(tq, s, none)
        m = DequantizeLinear<axis=1>(mq, ms)  p = MatMul(td, m)  a = Add(p, mb)
        aq = QuantizeLinear(a, s, half)  ad = DequantizeLinear(aq, s, half)
        n = LayerNormalization<axis=-1>(ad, gain, shift)
        nq = QuantizeLinear(n, fine, half)  nd = DequantizeLinear(nq, fine, half)
        g = Gelu(nd)
        gq = QuantizeLinear(g, fine, half)  gd = DequantizeLinear(gq, fine, half)
        u = Mul(gd, nd)
        uq = QuantizeLinear(u, s, half)  ud = DequantizeLinear(uq, s, half)
        f = Softmax<axis=-1>(ud)
        fq = QuantizeLinear(f, part, none)  y = DequantizeLinear(fq, part, none)
    }"""
    return make_component(text, steps | weights, "network")
