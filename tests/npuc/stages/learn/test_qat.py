import json

import numpy as np
import pytest

from npuc.settings.recipe import Qat
from npuc.stages.learn.qat import QatStage
from npuc.terminal.progress import SilentReporter
from tests.npuc.interrupted import Interrupting
from tests.two_layers import ONLY, float_program, quantized_program, requests


def test_the_stage_trains_and_writes_its_curve(tmp_path):
    source, program = float_program(), quantized_program()
    source.requests = tuple(requests(6))
    before = {name: value.const_value.numpy() for name, value in initializers(program).items()}
    stage = QatStage(source, Qat(steps=4, learning_rate=1e-2, batch_size=3, requests=5), SilentReporter())
    remark, _ = stage.train(program, tmp_path)
    assert remark.numbers["steps"] == 4
    points = json.loads((tmp_path / "training" / "qat.json").read_text())
    assert [point["step"] for point in points] == [1, 2, 3, 4]
    assert (tmp_path / "training" / "qat.svg").is_file()
    after = {name: value.const_value.numpy() for name, value in initializers(program).items()}
    codes = [name for name in after if name.endswith(".e5m2") and after[name].size > 1]
    assert len(codes) == 2 and all(not np.array_equal(after[name], before[name]) for name in codes)
    scales = [name for name in after if name.endswith(".scale")]
    assert scales and all(np.array_equal(after[name], before[name]) for name in scales)


def initializers(program):
    return program.components[ONLY].model.graph.initializers


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path):
    def train(folder, reporter, checkpoints=None):
        folder.mkdir()
        source, program = float_program(), quantized_program()
        source.requests = tuple(requests(6))
        settings = Qat(steps=60, learning_rate=1e-2, batch_size=3, requests=5, learn_scales=True)
        QatStage(source, settings, reporter).train(program, folder, checkpoints)
        curve = (folder / "training" / "qat.csv").read_text()
        return curve, {name: value.const_value.tobytes() for name, value in initializers(program).items()}

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "a", Interrupting(55), tmp_path / "checkpoints")
    resuming = Interrupting()
    resumed = train(tmp_path / "b", resuming, tmp_path / "checkpoints")
    assert resuming.trained == 10  # the newest checkpoint is that of step 50
    assert resumed == train(tmp_path / "c", Interrupting())
