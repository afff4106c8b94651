import subprocess
import sys

import pytest

from exporter.sources.torch_programs.neighbours import OWN_PACKAGES

MODEL = """
import torch
from {name}.blocks import Scale
import {name}.blocks as blocks


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale(blocks.FACTOR)

    def forward(self, x):
        from {name}.late import shift  # not imported before the model is called

        return shift(self.scale(x))


def make():
    import {name}

    assert {name}.OWNER == "user"
    return Model(), (torch.ones(1, 4),)
"""

SCRIPT = """
import sys
from exporter.sources import open_source
import program.program, exporter.capture, passes.pipeline, targets.contract.target, npuc.errors

before = {module: sys.modules[module] for module in ("program.program", "passes.pipeline", "npuc.errors")}
captured = open_source(sys.argv[1] + ":make")
from program.onnx_executor import OnnxExecutor
import numpy as np
import passes.cut.split_layers, targets.placing.placement, npuc.artifact.samples  # not loaded before

assert before == {module: sys.modules[module] for module in before}
assert all(getattr(sys.modules[name], "OWNER", "ours") == "ours" for name in ("program", "passes", "npuc"))
(component,) = captured.components.values()
(y,) = OnnxExecutor(component.model)({component.inputs[0].name: np.full((1, 4), 2, np.float32)}).values()
assert (y == 7).all(), y
(original,) = [opener() for opener in captured.original.openers.values()]
(y,) = original({component.inputs[0].name: np.full((1, 4), 2, np.float32)}).values()
assert (y == 7).all(), y
"""


@pytest.mark.parametrize("name", OWN_PACKAGES)
def test_a_users_package_and_ours_of_the_same_name_do_not_meet(name, tmp_path):
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text('OWNER = "user"\n')
    (package / "blocks.py").write_text(
        "import torch\nfrom . import constants\n\nFACTOR = constants.FACTOR\n\n\n"
        "class Scale(torch.nn.Module):\n"
        "    def __init__(self, factor):\n        super().__init__()\n        self.factor = factor\n\n"
        "    def forward(self, x):\n        return self.factor * x\n"
    )
    (package / "constants.py").write_text("FACTOR = 3.0\n")
    (package / "late.py").write_text("def shift(x):\n    return x + 1\n")
    (tmp_path / "model.py").write_text(MODEL.replace("{name}", name))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "model.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_module_beside_the_file_that_nobody_else_has_is_imported_as_ever(tmp_path):
    (tmp_path / "blocks.py").write_text("FACTOR = 3.0\n")
    (tmp_path / "model.py").write_text(
        "import torch\nfrom blocks import FACTOR\n\n\ndef make():\n"
        "    return torch.nn.Linear(4, 4), (torch.ones(1, 4) * FACTOR,)\n"
    )
    script = "import sys\nfrom exporter.sources import open_source\nopen_source(sys.argv[1] + ':make')\n"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "model.py")], check=True)
