"""Model folders from strangers end in one clear message: no traceback, no hang, no crash, nothing written."""

import shutil
import time

import pytest

from exporter.sources import examine
from tests.npuc.hostile_folders import FOLDERS

SECONDS = 30
"""Most are refused in one; a loop has 3 s of processor time here, which takes longer where others use the processor."""


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_refused_with_one_message(npuc, tiny_qwen_folder, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(examine, "_BASE_SECONDS", 3)
    folder, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(tiny_qwen_folder, folder)
    FOLDERS[kind](folder)
    files = sorted(folder.iterdir())
    start = time.monotonic()
    result = npuc("compile", folder, "--device", "galaxy-s25", "--npu", "cpu", "-o", out)
    assert time.monotonic() - start < SECONDS
    assert result.code in (2, 3), result.err
    assert result.err.startswith("error: ") and "Traceback" not in result.err and "\x1b" not in result.err
    assert [line for line in result.err.splitlines() if not line.startswith(("error:", "  "))] == []
    assert len(result.err) < 2000
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"] and sorted(folder.iterdir()) == files
