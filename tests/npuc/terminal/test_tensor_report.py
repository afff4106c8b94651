"""What `npuc run` prints and saves of outputs, whatever they are called."""

import numpy as np
import pytest

from npuc.terminal.tensor_report import report_tensors


@pytest.mark.parametrize("name", ["../out/y:0", "/root/y", "..", "a/b", "", "\x1b[2J", "n" * 300])
def test_outputs_are_saved_inside_the_folder(tmp_path, capsys, name):
    save = tmp_path / "deep" / "saved"
    report_tensors({name: np.ones(3, np.float32)}, save)
    (file,) = save.iterdir()
    np.testing.assert_array_equal(np.load(file), np.ones(3))
    printed = capsys.readouterr().out
    assert f"saved as {file.name}" in printed and "\x1b" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_a_plain_name_is_the_files_own(tmp_path, capsys):
    report_tensors({"logits": np.ones(3, np.float32), "v1.0": np.ones(1, np.float32)}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logits.npy", "v1.0.npy"]
    assert "saved as" not in capsys.readouterr().out
