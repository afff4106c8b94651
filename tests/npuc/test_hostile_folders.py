"""Model folders from strangers end in one clear message: no traceback, no hang, no crash, nothing written."""

import os
import resource
import shutil
import time

import pytest

from tests.npuc.hostile_folders import FOLDERS

SECONDS = 60
"""The child process has 10 s of processor time, which may take longer; most are refused in one."""


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_refused_with_one_message(npuc, tiny_qwen_folder, tmp_path, kind):
    folder, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(tiny_qwen_folder, folder)
    FOLDERS[kind](folder)
    files = sorted(os.listdir(folder))
    start = time.monotonic()
    result = npuc("compile", folder, "--device", "galaxy-s25", "--npu", "cpu", "-o", out)
    assert time.monotonic() - start < SECONDS
    assert result.code in (2, 3), result.err
    assert result.err.startswith("error: ") and "Traceback" not in result.err and "\x1b" not in result.err
    assert [line for line in result.err.splitlines() if not line.startswith(("error:", "  "))] == []
    assert len(result.err) < 2000
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"] and sorted(os.listdir(folder)) == files


def test_no_child_took_more_memory_than_it_may():
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 << 20, "kilobytes"
