import os
import subprocess
import sys
import time

import pytest

from npuc.caching.abandoned import is_abandoned, occupied, remove_folders

_OCCUPY = """
import pathlib, sys, time
from npuc.caching.abandoned import occupied
with occupied(pathlib.Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "work"
    path.mkdir()
    return path


def age(path):
    before = time.time() - 3600
    os.utime(path, (before, before))


def test_a_killed_process_leaves_its_folder_abandoned(folder):
    process = subprocess.Popen([sys.executable, "-c", _OCCUPY, folder], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    age(folder)
    assert not is_abandoned(folder, process.pid)
    process.kill()
    process.wait()
    assert is_abandoned(folder)


def test_a_number_that_another_process_has_now_does_not_keep_a_folder(folder):
    assert not is_abandoned(folder, os.getpid())  # it may not be locked yet
    age(folder)
    assert is_abandoned(folder, os.getpid())


def test_a_folder_is_occupied_while_it_is_filled(folder):
    age(folder)
    with occupied(folder):
        assert not is_abandoned(folder)
    assert is_abandoned(folder)


def test_links_and_absent_folders_are_not_taken_away(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert not is_abandoned(link, 1 << 80)
    assert not is_abandoned(tmp_path / "absent")
    remove_folders([link, tmp_path / "absent"])
    assert folder.exists()
