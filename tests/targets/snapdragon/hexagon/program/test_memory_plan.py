"""Buffers in one arena."""

from hypothesis import given
from hypothesis import strategies as st
from tvm import tirx

from targets.snapdragon.hexagon.kernels.writer import KernelCode
from targets.snapdragon.hexagon.program.memory_plan import plan_memory
from targets.snapdragon.hexagon.program.step import Step, StepSequence

KERNEL = KernelCode("kernel", tirx.PrimFunc([], tirx.Evaluate(0)), ())


def sequence(sizes, reads):
    steps = [
        Step(KERNEL, tuple(f"b{s % (i + 1)}" for s in sources), f"b{i + 1}", f"o{i}")
        for i, sources in enumerate(reads)
    ]
    return StepSequence(tuple(steps), {f"b{i}": size for i, size in enumerate(sizes)})


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(1, 1000), min_size=n + 1, max_size=n + 1),
            st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=2), min_size=n, max_size=n),
        )
    )
)
def test_buffers_alive_together_never_overlap(drawn):
    sizes, reads = drawn
    steps = sequence(sizes, reads)
    offsets, arena = plan_memory(steps, ())
    used = {}
    for index, step in enumerate(steps.steps):
        for name in (*step.sources, step.output):
            first, _ = used.get(name, (index, index))
            used[name] = (first, index)
    for a, (first, last) in used.items():
        assert offsets[a] % 128 == 0
        assert offsets[a] + steps.sizes[a] <= arena
        for b, (other_first, other_last) in used.items():
            if a < b and first <= other_last and other_first <= last:
                apart = offsets[a] + steps.sizes[a] <= offsets[b] or offsets[b] + steps.sizes[b] <= offsets[a]
                assert apart


def test_a_chain_needs_two_buffers():
    steps = sequence([1000] * 6, [[0], [1], [2], [3], [4]])
    assert plan_memory(steps, ())[1] == 2 * 1024
