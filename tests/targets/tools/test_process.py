import re
import shutil
import time
from pathlib import Path

import pytest

from targets.errors import ToolError
from targets.tools.process import JobError, run_job

ECHO = """
import json, os, pathlib
request = json.loads(pathlib.Path("request.json").read_text())
pathlib.Path("out.txt").write_text(pathlib.Path("in.txt").read_text() * request["times"])
pathlib.Path("result.json").write_text(json.dumps({"variables": sorted(os.environ)}))
"""


@pytest.fixture
def job(installed, tmp_path, monkeypatch):
    """Runs a script: `job(source)` returns its result and what it wrote to out.txt."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def run(source, seconds=20.0):
        script = tmp_path / "script.py"
        script.write_text(source)
        taken = []
        result = run_job(
            installed,
            script,
            {"times": 2},
            prepare=lambda folder: (folder / "in.txt").write_text("ab") and None,
            collect=lambda folder: taken.append((folder / "out.txt").read_text()),
            seconds=seconds,
        )
        assert list(temporary.iterdir()) == [], "a job that went well leaves nothing"
        return result, taken[0]

    return run


def reproducer(error):
    return Path(re.search(r"see (\S+):", error.remedy).group(1))


def test_a_job_gets_its_files_and_no_foreign_variables(job, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    result, written = job(ECHO)
    assert written == "abab"
    assert not {"PYTHONPATH", "LD_LIBRARY_PATH"} & set(result["variables"])


def test_a_refusal_is_told_and_the_folder_kept(job):
    with pytest.raises(JobError, match=r"refused the model(.|\n)*no such operator") as caught:
        job("open('result.json', 'w').write('{\"refused\": \"no such operator\"}')")
    assert caught.value.exit_code == 3
    kept = {path.name for path in reproducer(caught.value).iterdir()}
    assert {"in.txt", "job.py", "request.json", "output.txt"} <= kept


def test_a_crash_is_isolated(job):
    with pytest.raises(JobError, match=r"crashed \(SIGSEGV\)") as caught:
        job("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert reproducer(caught.value).is_dir()


def test_a_hang_is_ended_with_its_children(job):
    start = time.monotonic()
    with pytest.raises(JobError, match="longer than 1 s") as caught:
        job(
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "open('child', 'w').write(str(child.pid))\n"
            "time.sleep(60)",
            seconds=1,
        )
    assert time.monotonic() - start < 20
    pid = (reproducer(caught.value) / "child").read_text()
    status = Path(f"/proc/{pid}/status")
    deadline = time.monotonic() + 5
    while status.exists() and "(zombie)" not in status.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not status.exists() or "(zombie)" in status.read_text()


@pytest.mark.parametrize("source", ["print('half'); raise SystemExit(7)", "print('half')"])
def test_no_result_is_no_success(job, source):
    with pytest.raises(JobError, match=r"without a result(.|\n)*half"):
        job(source)


def test_a_missing_tool_starts_nothing(job, installed, tmp_path):
    shutil.rmtree(installed.path)
    with pytest.raises(ToolError, match="npuc tools install"):
        job(ECHO)
    assert list((tmp_path / "temporary").iterdir()) == []
