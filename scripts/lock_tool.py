"""Writes the hash-pinned lock of a vendor's tool: `python scripts/lock_tool.py snapdragon`.

pip resolves the tool's requirements for every Python that npuc supports, without installing anything; the lock names
one version of each package and the hash of the wheel that each Python gets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from targets.tools.tool import Tool, find_tool  # noqa: E402

_MANYLINUX = ("2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17", "2014", "2010", "1")
"""Tags that glibc 2.35 (Ubuntu 22.04, Debian 12) runs; pip does not expand them by itself."""


def resolve(tool: Tool, minor: int) -> dict[str, tuple[str, str]]:
    """Returns version and SHA-256 of each wheel that pip would install under Python 3.`minor`."""
    separators = {tag: "" if tag.isdigit() else "_" for tag in _MANYLINUX}
    tags = [f"manylinux{separators[tag]}{tag}_{tool.machine}" for tag in _MANYLINUX]
    platforms = [part for tag in (*tags, f"linux_{tool.machine}") for part in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--python-version", f"3.{minor}", *platforms]
        command += ["--target", folder, "--report", str(report), *tool.requirements]
        subprocess.run(command, check=True)
        installed = json.loads(report.read_text("utf-8"))["install"]
    return {
        item["metadata"]["name"].lower().replace("_", "-"): (
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in installed
    }


def lock(tool: Tool) -> str:
    """Returns the text of the lock.

    Raises:
        SystemExit: Two Pythons would get different versions of a package.
    """
    found: dict[str, tuple[str, set[str]]] = {}
    for minor in tool.python:
        for name, (version, digest) in resolve(tool, minor).items():
            known, hashes = found.setdefault(name, (version, set()))
            if known != version:
                raise SystemExit(f"{name}: {known} and {version} for different versions of Python")
            hashes.add(digest)
    lines = [f"# Written by scripts/lock_tool.py: {' '.join(tool.requirements)}"]
    for name, (version, hashes) in sorted(found.items()):
        pins = " \\\n".join(f"    --hash=sha256:{digest}" for digest in sorted(hashes))
        lines.append(f"{name}=={version} \\\n{pins}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    chosen = find_tool(sys.argv[1])
    package, _, name = chosen.lock_file.partition(":")
    (ROOT / package.replace(".", "/") / name).write_text(lock(chosen), "utf-8")
