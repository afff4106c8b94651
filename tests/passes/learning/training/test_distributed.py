import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from passes.learning.training.distributed import Processes, layer_modules
from passes.learning.training.errors import TrainingError
from passes.learning.training.gradients import LossScale
from passes.learning.training.trainer import Trainer
from tests.passes.learning.training import two_processes

ROOT = Path(__file__).parents[4]


def test_two_processes_have_the_losses_of_one_and_resume_exactly(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, two_processes.__file__, str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads((tmp_path / "losses.json").read_text())
    assert two["processes"] == 2
    assert two["resumed"] == two["whole"]
    assert two["whole"] == pytest.approx(two_processes.train(two_processes.OPTIONS), abs=1e-4)
    newest = tmp_path / "checkpoints" / "step-000000006"
    shutil.rmtree(newest)
    options = dataclasses.replace(two_processes.OPTIONS, checkpoints=newest.parent, checkpoint_every=1)
    assert two_processes.train(options) == pytest.approx(two["whole"], abs=1e-4), (
        "one process goes on from two"
    )
    assert newest.is_dir()


def test_layers_are_the_blocks_and_the_items_of_module_lists():
    module = nn.ModuleDict(
        {"graph": two_processes.build_module()["graph"], "list": nn.ModuleList([nn.Linear(1, 1)])}
    )
    blocks = list(module["graph"].blocks.values())
    assert layer_modules(module) == [*blocks, module["list"][0]]


def test_batches_that_cannot_be_dealt_out_are_refused(monkeypatch):
    monkeypatch.setattr("passes.learning.training.trainer.current_processes", lambda: Processes(0, 3))
    with pytest.raises(TrainingError, match="dealt out"):
        Trainer(nn.Linear(1, 1), lambda batch: {}, None, two_processes.OPTIONS)


def test_loss_scale_halves_on_overflow_and_doubles_after_a_while():
    scale = LossScale(8.0)
    scale.update(overflowed=True)
    assert scale.value == 4.0
    for _ in range(2000):
        scale.update(overflowed=False)
    assert scale == LossScale(8.0, 0)
