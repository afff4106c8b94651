"""What every test shares."""

import shutil

import pytest

from targets.errors import ToolError

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
