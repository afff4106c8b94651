import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import ShapeInferencePass

from exporter.errors import ExportError
from npuc.compare.source.first_wrong_pass import Rewriting
from npuc.compare.source.original_answers import ask
from npuc.compare.source.rewrites import RewriteJob, judge_rewrites
from npuc.compare.source.samples import Sample
from npuc.errors import AgreementError
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role

HEAD = '<ir_version: 10, opset_import: ["": 23]>\n'
DOUBLE = "g (float[2,4] x) => (float[2,4] y) { a = Add(x, x)\n y = Neg(a) }"


def job(source, rewritten, samples, names=()):
    original = OnnxExecutor(ir.from_onnx_text(HEAD + source))
    component = Component("model", Role.MODEL, Modality.TEXT, ir.from_onnx_text(HEAD + rewritten))
    captured = ir.from_onnx_text(HEAD + source)
    ShapeInferencePass()(captured)
    return RewriteJob(
        component, Rewriting(component, captured, names, frozenset()), ask(original, samples), 1e-4
    )


def sample(values, edge=""):
    return Sample({"x": np.asarray(values, np.float32)}, edge)


@pytest.fixture
def usual():
    return sample(np.random.default_rng(0).standard_normal((2, 4)))


def test_an_equal_graph_is_within_the_bound(usual):
    record, counted = judge_rewrites(job(DOUBLE, DOUBLE, [usual]))
    assert (record.samples, record.max_relative_error, record.bound, record.reason) == (1, 0.0, 1e-4, "")
    assert len(counted) == 1


def test_a_capture_that_is_wrong_is_named(usual):
    wrong = DOUBLE.replace("Neg(a)", "Relu(a)")
    made = job(DOUBLE, wrong, [usual])
    captured = Rewriting(made.component, made.component.model, (), frozenset())
    with pytest.raises(AgreementError, match="its capture, before any pass"):
        judge_rewrites(RewriteJob(made.component, captured, made.answered, 1e-4))


def test_a_model_that_moves_by_itself_widens_the_bound():
    # the difference of two nearly equal numbers: the last place of x is a hundredth of it
    moving = (
        "g (float[2,4] x) => (float[2,4] y) <float one = {10000.0}> { a = Add(x, one)\n y = Sub(a, one) }"
    )
    other = "g (float[2,4] x) => (float[2,4] y) <float one = {10000.0}> { y = Identity(x) }"
    record, _ = judge_rewrites(job(moving, other, [sample(np.linspace(1, 2, 8).reshape(2, 4))]))
    assert 1e-4 < record.max_relative_error <= record.bound <= 1e-2
    assert "moves as far by itself" in record.reason


def test_a_sample_at_the_edge_on_which_the_model_is_undecided_does_not_count(usual):
    first = "g (float[2,4] x) => (int64[2,1] y) { y = ArgMax<axis: int = 1>(x) }"
    last = "g (float[2,4] x) => (int64[2,1] y) { y = ArgMax<axis: int = 1, select_last_index: int = 1>(x) }"
    record, counted = judge_rewrites(job(first, last, [usual, sample(np.zeros((2, 4)), "floats are 0")]))
    assert record.samples == 1
    assert [row.sample.edge for row in counted] == [""]


def test_integers_have_to_be_equal(usual):
    source = "g (float[2,4] x) => (int64[2,1] y) { y = ArgMax<axis: int = 1>(x) }"
    wrong = "g (float[2,4] x) => (int64[2,1] y) { y = ArgMin<axis: int = 1>(x) }"
    with pytest.raises(AgreementError, match="not finite, or integers, differ"):
        judge_rewrites(job(source, wrong, [usual]))


def test_a_source_in_float16_is_held_to_its_own_rounding():
    half = DOUBLE.replace("float[", "float16[")
    made = job(half, half, [Sample({"x": np.ones((2, 4), np.float16)})])
    record, _ = judge_rewrites(made)
    assert record.bound == 2e-2
    assert "float16" in record.reason


def test_samples_that_break_the_model_are_left_out_only_at_the_edge():
    def fails(feeds):
        if not feeds["x"].any():
            raise ExportError("no")
        return {"y": feeds["x"]}

    rows = [sample([[1.0]]), sample([[0.0]], "floats are 0")]
    assert len(ask(fails, rows)) == 1
    with pytest.raises(ExportError):
        ask(fails, [sample([[0.0]])])
