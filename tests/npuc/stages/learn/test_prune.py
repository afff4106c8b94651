import pytest

from npuc.settings.recipe import Prune
from npuc.stages.learn.prune import PruneJob, prune_program
from passes.learning.training.errors import TrainingError
from tests.npuc.interrupted import Interrupting
from tests.two_layers import ONLY, float_program, requests

SETTINGS = {
    "subnetworks": [{"name": "full", "operations": 1.0}, {"name": "half", "operations": 0.6}],
    "steps": 60,
    "batch_size": 3,
    "learning_rate": 1e-2,
}


def prune(checkpoints=None, reporter=None, **settings):
    program = float_program()
    program.requests = tuple(requests(6))
    feeds = {ONLY: [dict(request.tensors) for request in program.requests]}
    job = PruneJob("model.onnx", Prune(**SETTINGS, **settings), reporter or Interrupting(), checkpoints)
    pruned = prune_program(job, program, feeds)
    initializers = program.components[ONLY].model.graph.initializers
    return pruned, {name: value.const_value.tobytes() for name, value in initializers.items()}


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prune(tmp_path, Interrupting(55))
    reporter = Interrupting()
    pruned, weights = prune(tmp_path, reporter)
    assert reporter.trained == 10  # the newest checkpoint is that of step 50
    whole, expected = prune()
    assert pruned.curve == whole.curve and len(whole.curve.points) == 60
    assert weights == expected
    assert [subnetwork.name for subnetwork in pruned.subnetworks] == ["full", "half"]


def test_a_measurement_beyond_the_limit_is_left_out(monkeypatch):
    monkeypatch.setattr("npuc.stages.learn.prune.MOST_OPERATIONS", 1.0)
    monkeypatch.setattr("npuc.stages.learn.prune.measure_loss", None)
    pruned, _ = prune()
    remark, requests_measured, widths = pruned.remarks[0], 6, 1
    assert "by importance" in remark.what
    assert remark.numbers["operations"] == requests_measured * widths * (4 * 12 * 16 + 4 * 16 * 6)
    assert pruned.subnetworks[1].share <= 0.6


def test_a_model_without_preprocessing_takes_no_manifest(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "what?"}')
    with pytest.raises(TrainingError, match="the model takes tensors"):
        prune(data=str(tmp_path / "train.jsonl"))
