"""What every test shares."""

import os
import shutil

import pytest
import torch

from passes.core.properties import CHECKED
from targets.errors import ToolError
from targets.tools.environment import ToolEnvironment
from targets.tools.tool import find_tool
from tests.captures import tiny_qwen, tiny_qwen_folder  # noqa: F401 - fixtures

EMULATOR = "qemu-aarch64"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from _skipping_without_emulator())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from _skipping_without_emulator())


def _skipping_without_emulator():
    """Skips, with the reason, what fails for want of the emulator; where it is installed nothing is caught."""
    try:
        return (yield)
    except ToolError as error:
        if shutil.which(EMULATOR) is None and EMULATOR in error.where:
            pytest.skip(f"{EMULATOR} is not installed")
        raise


@pytest.fixture(scope="session")
def tool():
    """The installed tool. `NPUC_TEST_SNAPDRAGON=1` turns a missing one from a skip into a failure."""
    environment = ToolEnvironment(find_tool("snapdragon"))
    if not environment.is_current() and os.environ.get("NPUC_TEST_SNAPDRAGON") != "1":
        pytest.skip(f"the vendor's tool is not installed: {environment.tool.install_command}")
    return environment


@pytest.fixture
def temporary_folder(monkeypatch, tmp_path_factory):
    """Keeps the reproducer folders of refused jobs with the tests' other files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("jobs")))


@pytest.fixture(scope="module")
def one_thread():
    """Lets torch add in one order, whatever the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _checked_properties():
    """Passes keep what they declare, wherever a test runs them."""
    token = CHECKED.set(True)
    yield
    CHECKED.reset(token)
