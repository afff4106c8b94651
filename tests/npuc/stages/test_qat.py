import json

import numpy as np

from npuc.progress import SilentReporter
from npuc.recipe import Qat
from npuc.stages.qat import QatStage
from tests.two_layers import ONLY, float_program, quantized_program, requests


def test_the_stage_trains_and_writes_its_curve(tmp_path):
    source, program = float_program(), quantized_program()
    source.requests = tuple(requests(6))
    before = {name: value.const_value.numpy() for name, value in initializers(program).items()}
    stage = QatStage(source, Qat(steps=4, learning_rate=1e-2, batch_size=3, requests=5), SilentReporter())
    (remark,) = stage.train(program, tmp_path)
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
