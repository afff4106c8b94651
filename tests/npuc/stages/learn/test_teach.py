import numpy as np
import pytest

from npuc.stages.learn.teach import teach
from npuc.terminal.progress import SilentReporter
from passes.learning.training.errors import TrainingError
from program.onnx_executor import OnnxExecutor
from program.program import Request
from tests.two_layers import ONLY, float_program, requests


def test_each_request_is_answered_by_the_program_as_it_is():
    program, asked = float_program(), requests(3)
    recordings = teach(program, asked, SilentReporter())
    executor = OnnxExecutor(program.components[ONLY].model)
    assert [len(calls) for calls in recordings] == [1, 1, 1]
    for (call,), request in zip(recordings, asked, strict=True):
        assert np.array_equal(call.feeds["x"], request.tensors["x"])
        assert np.array_equal(call.outputs["logits"], executor(request.tensors)["logits"])


def test_a_request_that_the_model_cannot_answer_is_named():
    with pytest.raises(TrainingError, match="cannot answer") as caught:
        teach(float_program(), [Request(prompt="what colour?")], SilentReporter())
    assert "what colour?" in caught.value.where and caught.value.exit_code == 2
