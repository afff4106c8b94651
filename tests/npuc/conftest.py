import dataclasses
import os

import pytest

from npuc.artifact.manifest import Manifest
from npuc.cli import run
from npuc.settings.recipe_file import tier_recipe
from npuc.version import SCHEMA_VERSION, npuc_version, tool_versions


@dataclasses.dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def npuc(capfd, monkeypatch, tmp_path_factory):
    """Runs the command line in this process: `npuc("devices", "--json")`."""
    monkeypatch.setenv("COLUMNS", "200")
    if "NPUC_CACHE" not in os.environ:
        monkeypatch.setenv("NPUC_CACHE", str(tmp_path_factory.getbasetemp() / "npuc-cache"))

    def invoke(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return invoke


AGREEMENT = {
    "executed": True, "samples": 2, "max_relative_error": 0.0, "sqnr": None, "bound": {"min_sqnr": 10}, "passed": True,
}  # fmt: skip
SEGMENT = {
    "name": "model", "processor": "cpu", "reference": "model/model.onnx", "weights": None, "inputs": (), "outputs": (),
    "nodes": 1, "triple": "t", "features": (), "files": (), "executable": None, "emulator": (), "arena_bytes": 0,
    "weight_bytes": 0, "code_bytes": 0, "kernels": 0, "policy": {}, "note": "", "remarks": (), "binding": {},
    "agreement": AGREEMENT,
}  # fmt: skip
COMPONENT = {
    "name": "model", "role": "model", "modality": "text", "reference": "model/model.onnx", "inputs": (), "outputs": (),
    "layers": (), "source": {}, "segments": (SEGMENT,),
}  # fmt: skip


@pytest.fixture
def manifest():
    """A manifest without components."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        npuc_version=npuc_version(),
        tool_versions=tool_versions(),
        source={"source": "demo"},
        family="generic",
        settings={},
        assets=("assets/tokenizer.json",),
        device={"id": "d", "name": "D", "soc": "S", "tier": "high", "target": "arm"},
        recipe=tier_recipe("high").model_dump(mode="json"),
        components=(COMPONENT,),
        subnetworks=(
            {
                "name": "full",
                "components": {},
                "operations": 1,
                "operations_share": 1.0,
                "bytes_touched": 1,
                "accuracy": None,
                "test_requests": 0,
                "cache": "valid",
            },
        ),
        format_errors=(),
        budgets=(),
        files={},
    )
