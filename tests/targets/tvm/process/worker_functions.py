"""Functions that the worker process is told to call."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from targets.errors import TargetError


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Of the worker's process, and of the nodes it was given."""

    process: int
    nodes: int


def numbers(component):
    return Numbers(os.getpid(), len(component.model.graph))


def fail(component, how):
    if how == "refusal":
        raise TargetError("no kernel", where=component.name, received="a\nb", remedy="leave it out")
    if how == "fault":
        raise KeyError("unforeseen")
    if how == "noise":
        os.write(1, b'{"result": {}}\n')
        return Numbers(0, 0)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def work_with_child(component, mark):
    del component
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(mark).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
