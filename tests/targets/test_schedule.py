"""Products of drawn shapes: each is scheduled, and right."""

import numpy as np

from targets.agreement import relative_error
from tests.targets.support import make_component, random_feeds


def _drawn_product(rng, number):
    rows, depth, columns = (
        int(rng.choice(extents)) for extents in ([1, 3, 4, 7, 8, 33], [1, 4, 13, 16, 20], [1, 6, 17, 64])
    )
    batch = [int(extent) for extent in rng.choice([1, 2, 3], rng.integers(0, 3))]
    transposed = bool(rng.random() < 0.4)
    right = [*batch, columns, depth] if transposed else [*batch, depth, columns]
    order = [*range(len(batch)), len(batch) + 1, len(batch)]
    inputs = f"float{[*batch, rows, depth]} a{number}, float{right} b{number}"
    turn = (
        f"t{number} = Transpose<perm={order}>(b{number})"
        if transposed
        else f"t{number} = Identity(b{number})"
    )
    return inputs, f"{turn} m{number} = MatMul(a{number}, t{number}) y{number} = Relu(m{number})"


def test_products_of_any_shape_are_scheduled_and_right(build):
    rng = np.random.default_rng(99)
    drawn = [_drawn_product(rng, number) for number in range(16)]
    inputs, nodes = ", ".join(i for i, _ in drawn), " ".join(n for _, n in drawn)
    outputs = ", ".join(f"y{number}" for number in range(len(drawn)))
    built = build(make_component(f"({inputs}) => ({outputs}) {{ {nodes} }}"))
    feeds = random_feeds(built.component)
    reference, actual = built.reference(feeds), built.run(feeds)
    assert {
        name: e for name in reference if (e := relative_error(reference[name], actual[name])) > 2e-6
    } == {}
    assert built.compiled.unscheduled == ()
