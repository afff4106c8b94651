import json

import pytest
import torch

from passes.learning.training import checkpoint
from passes.learning.training.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from passes.learning.training.errors import TrainingError


def tensors():
    yield "a", torch.arange(6.0).reshape(2, 3)
    yield "b", torch.tensor(3, dtype=torch.int64)


def test_reads_what_was_written(tmp_path):
    folder = write_checkpoint(tmp_path, 7, tensors(), {"note": [1, "x"]}, keep=2)
    read = Checkpoint(folder)
    assert read.state["step"] == 7 and read.state["note"] == [1, "x"]
    assert torch.equal(read.tensor("a", (2, 3)), torch.arange(6.0).reshape(2, 3))
    assert read.tensor("b", ()).dtype == torch.int64
    assert "a" in read and "c" not in read


def test_only_the_newest_stay_and_leftovers_go(tmp_path):
    (tmp_path / ".step-000000001.incomplete").mkdir(parents=True)
    for step in (1, 2, 10):
        write_checkpoint(tmp_path, step, tensors(), {}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000010"]
    assert newest_checkpoint(tmp_path).name == "step-000000010"


def test_an_interrupted_write_is_not_a_checkpoint(tmp_path):
    def broken():
        yield from tensors()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, 1, broken(), {}, keep=2)
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "missing") is None


def test_large_states_are_written_in_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SHARD_BYTES", 20)
    folder = write_checkpoint(tmp_path, 1, tensors(), {}, keep=1)
    assert len(list(folder.glob("*.safetensors"))) == 2
    assert Checkpoint(folder).tensor("b", ()).item() == 3


@pytest.mark.parametrize("damage", ["missing", "json", "version", "tensor", "shape", "escape"])
def test_damage_is_named(tmp_path, damage):
    folder = write_checkpoint(tmp_path, 1, tensors(), {}, keep=1)
    state = json.loads((folder / "state.json").read_text())
    if damage == "missing":
        (folder / "state.json").unlink()
    elif damage == "json":
        (folder / "state.json").write_text("[")
    elif damage == "version":
        (folder / "state.json").write_text(json.dumps({**state, "version": 99}))
    elif damage == "tensor":
        (folder / "tensors-00000.safetensors").write_bytes(b"\xff" * 40)
    elif damage == "escape":
        files = dict.fromkeys(state["files"], "../../etc/passwd")
        (folder / "state.json").write_text(json.dumps({**state, "files": files}))
    with pytest.raises(TrainingError, match="cannot be used"):
        Checkpoint(folder).tensor("a", (3, 2) if damage == "shape" else (2, 3))
