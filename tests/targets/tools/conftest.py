"""A tool that needs no network: its environment is this interpreter."""

import json
import sys

import pytest

from targets.tools.environment import RECORD_NAME, ToolEnvironment
from targets.tools.tool import find_tool


@pytest.fixture
def empty(tmp_path):
    return ToolEnvironment(find_tool("snapdragon"), tmp_path / "tools")


@pytest.fixture
def installed(empty):
    empty.python.parent.mkdir(parents=True)
    empty.python.symlink_to(sys.executable)
    record = {"lock_sha256": empty.tool.lock_digest(), "version": empty.tool.version}
    (empty.path / RECORD_NAME).write_text(json.dumps(record))
    return empty
