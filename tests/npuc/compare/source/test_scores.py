import numpy as np
import onnx_ir as ir
import pytest
from scipy.special import log_softmax, softmax

from npuc.compare.source.scores import Decisions, compare_decisions, score_outputs


def graph(text):
    return ir.from_onnx_text(f'<ir_version: 10, opset_import: ["": 23]>\n{text}')


def test_a_softmax_over_the_last_axis_scores_alternatives():
    model = graph("g (float[2,4] x) => (float[2,4] y) { y = Softmax(x) }")
    assert score_outputs(model) == {"y": "Softmax"}


def test_layout_behind_a_log_softmax_hides_nothing():
    model = graph("g (float[2,4] x) => (float[8] y) { a = LogSoftmax(x)\n y = Flatten(a) }")
    assert score_outputs(model) == {"y": "LogSoftmax"}


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }",
        "g (float[2,3,4] x) => (float[2,3,4] y) { y = Softmax<axis: int = 1>(x) }",
    ],
)
def test_other_outputs_do_not(text):
    assert score_outputs(graph(text)) == {}


def test_an_output_named_logits_does():
    assert score_outputs(graph("g (float[2,4] x) => (float[2,4] Logits) { Logits = Relu(x) }")) == {
        "Logits": "logits"
    }


def test_close_decisions_do_not_count():
    expected = np.array([[0, 0, 0, 10.0], [0, 0, 9.9, 10.0]])
    actual = np.array([[0, 0, 0, 9.0], [0, 0, 10.0, 9.9]])
    decisions = compare_decisions("logits", expected, actual)
    assert (decisions.clear, decisions.same, decisions.rows) == (1, 1, 2)


def test_clear_decisions_that_change_are_counted():
    decisions = compare_decisions("logits", np.array([[0, 5.0, 0]]), np.array([[5.0, 0, 0]]))
    assert (decisions.clear, decisions.same) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "made"), [("logits", lambda x: x), ("Softmax", softmax), ("LogSoftmax", log_softmax)]
)
def test_divergence_is_that_of_the_distributions(kind, made):
    rng = np.random.default_rng(0)
    p, q = rng.standard_normal((2, 3, 7))
    wanted = sum(np.sum(softmax(a) * (log_softmax(a) - log_softmax(b))) for a, b in zip(p, q, strict=True))
    rows = [np.stack([made(row) for row in rows]) for rows in (p, q)]
    assert compare_decisions(kind, *rows).divergence == pytest.approx(wanted, rel=1e-6)


def test_one_alternative_is_no_decision():
    assert compare_decisions("logits", np.ones((3, 1)), np.zeros((3, 1))) == Decisions()
