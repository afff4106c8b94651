"""Every kernel under the emulator, bit by bit against its integer reference."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets.snapdragon.hexagon.instruction_count import count_executed
from tests.targets.snapdragon.hexagon import programs


@pytest.fixture(scope="module")
def everything():
    operations = [
        *programs.convolutions(),
        *programs.pools(),
        *programs.broadcasts(),
        *programs.constants(),
        *programs.moves(),
        *programs.rows("image", (1, 70, 3, 6), 1),
        *programs.rows("single", (1, 300), 1)[4:],
    ]
    return programs.program("everything", operations)


@pytest.fixture(scope="module")
def packed(lower, everything):
    return lower(everything)


@pytest.fixture(scope="module")
def plain(lower, everything):
    return lower(everything, "plain")


def _check(binary, feeds):
    expected = binary.program.reference(feeds)
    with binary.executor(60) as execute:
        actual = execute.run_codes(feeds)
    different = [name for name in expected if not np.array_equal(actual[name], expected[name])]
    assert different == []


@pytest.mark.parametrize("seed", range(3))
def test_packed_kernels_equal_their_reference(packed, everything, random_codes, seed):
    _check(packed, random_codes(everything, seed))


def test_plain_kernels_equal_their_reference(plain, everything, random_codes):
    _check(plain, random_codes(everything))


@pytest.mark.parametrize("code", [0, 1, 254, 255])
def test_extreme_codes(packed, everything, code):
    _check(packed, {t.name: np.full(t.shape, code, np.uint8) for t in everything.inputs})


def test_every_code_of_a_table(packed, everything, random_codes):
    feeds = random_codes(everything)
    feeds["image.x"] = np.resize(np.arange(256, dtype=np.uint8), feeds["image.x"].shape)
    _check(packed, feeds)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_drawn_shapes(lower, random_codes, data):
    channels, height, width = (data.draw(st.integers(low, high)) for low, high in ((1, 70), (2, 4), (2, 9)))
    kernel = (data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)))
    stride, pad = data.draw(st.integers(1, 2)), data.draw(st.integers(0, 1))
    source = programs.QuantizedTensor("x", (1, channels, height, width), 1, 0.05, 117)
    outputs = data.draw(st.integers(1, 70))
    operation = programs.convolution("conv", source, outputs, kernel, (stride, stride), (pad, pad, 0, pad))
    drawn = programs.program("drawn", [operation])
    _check(lower(drawn), random_codes(drawn))


def test_packing_saves_instructions_in_every_kernel(packed, plain, everything, random_codes):
    codes = b"".join(random_codes(everything)[t.name].tobytes() for t in everything.inputs)
    fewer, more = (count_executed(b.folder / b.executable, codes) for b in (packed, plain))
    kernels = (
        "convolution",
        "addition",
        "multiplication",
        "requantization",
        "lookup",
        "softmax",
        "layer_norm",
        "max_pool",
        "broadcast",
    )
    for kernel in kernels:
        packets = [
            sum(count.packets for name, count in counts.items() if f"_{kernel}_" in name)
            for counts in (fewer, more)
        ]
        assert 2 * packets[0] < packets[1], kernel
    assert sum(count.vector for count in fewer.values()) > 1000
    assert sum(count.vector for count in more.values()) == 0
