"""Puts a stand-in for Qualcomm's tool where npuc looks for the installed one."""

import json
import sys
from pathlib import Path

from targets.snapdragon.htp import compiled_graphs, executor, prepare, session
from targets.tools.tool import find_tool

WORKER = Path(__file__).with_name("fake_htp_worker.py")


def install_fake_tool(monkeypatch, cache, fault=""):
    """Installs the stand-in into a cache folder and makes npuc start it.

    Args:
        monkeypatch: pytest's.
        cache: The folder `NPUC_CACHE` names.
        fault: What it does wrong; see the script.
    """
    tool = find_tool("snapdragon")
    folder = cache / "tools" / tool.name
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    record = {"version": tool.version, "lock_sha256": tool.lock_digest(), "licence": {"accepted": True}}
    (folder / "installed.json").write_text(json.dumps(record))
    worker = folder / "worker.py"
    worker.write_text(WORKER.read_text().replace('FAULT = ""', f'FAULT = "{fault}"'))
    for module in (compiled_graphs, executor, prepare, session):
        monkeypatch.setattr(module, "WORKER", worker)
