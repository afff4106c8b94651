"""Checks of the machine npuc runs on."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from exporter.sandbox.isolation_check import network_refusal
from npuc.caching.cache import Cache
from npuc.version import TOOLS
from program.cache_folder import default_cache
from targets.contract.registry import find_target, target_names
from targets.tools.environment import ToolEnvironment
from targets.tools.tool import find_tool, tool_names

_ALLOW_NAMESPACES = "optional: sudo sysctl kernel.unprivileged_userns_clone=1 (in a container: allow unshare)"
_DISK_FLOOR = (
    1 << 30
)  # one compile of the bundled model needs well under 100 MB; 1 GiB leaves room for others


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What it is.
        ok: Whether it is usable.
        found: Version or state.
        remedy: Exact command that mends it, where it is not ok, or installs it, where it is optional.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""


def run_checks() -> list[Check]:
    """Looks at packages, emulators, vendors' tools, child processes, the cross compiler and disk space."""
    checks = [_package(name) for name in TOOLS]
    checks += [_emulator(name, command) for name, command in _emulators().items()]
    checks += [_vendor_tool(ToolEnvironment(find_tool(name))) for name in tool_names()]
    return [
        *checks,
        _isolation(),
        _cross_compiler(),
        _disk("temporary folder", Path(tempfile.gettempdir())),
        _disk_cache(),
    ]


def _emulators() -> dict[str, str]:
    """Programs that execute what the targets make → the command that installs each."""
    targets = map(find_target, target_names())
    return {name: command for target in targets for name, command in target.emulators.items()}


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install {name}")


def _emulator(name: str, command: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name, False, "not found", command)
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30)
    return Check(
        name, answer.returncode == 0, answer.stdout.partition("\n")[0], command if answer.returncode else ""
    )


def _vendor_tool(environment: ToolEnvironment) -> Check:
    """Never a fault: without a vendor's tool npuc compiles for the CPU."""
    tool = environment.tool
    if environment.is_current():
        return Check(f"tool {tool.name}", True, f"{tool.package} {tool.version}")
    record = environment.record()
    found = "not installed" if record is None else f"{tool.package} {record.get('version', 'unknown')}"
    return Check(f"tool {tool.name}", True, f"{found} (optional: {tool.title})", tool.install_command)


def _isolation() -> Check:
    """Never a fault: without namespaces the limits on memory and time still hold."""
    refusal = network_refusal()
    found = "files of strangers are read in a child process without network"
    if refusal:
        found = f"files of strangers are read in a child process, which keeps the network: {refusal}"
    return Check("isolation", True, found, _ALLOW_NAMESPACES if refusal else "")


def _cross_compiler() -> Check:
    command = [sys.executable, "-m", "ziglang", "version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return Check(
        "zig cc",
        answer.returncode == 0,
        answer.stdout.strip(),
        "pip install ziglang" * bool(answer.returncode),
    )


def _disk_cache() -> Check:
    folder = default_cache()
    while not folder.exists():
        folder = folder.parent
    check = _disk("cache folder", folder)
    return dataclasses.replace(check, found=f"{check.found}; {Cache().size() / 1e6:.1f} MB in use")


def _disk(name: str, folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    remedy = "" if free >= _DISK_FLOOR else f"free space on the disk of {folder}"
    return Check(name, not remedy, f"{free / 1e9:.1f} GB free at {folder}", remedy)
