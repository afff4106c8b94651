import json

import pytest

from targets.errors import ToolError
from targets.tools.environment import RECORD_NAME


def test_a_missing_tool_names_the_one_command(empty):
    with pytest.raises(ToolError, match="not installed") as caught:
        empty.require()
    assert caught.value.exit_code == 4
    assert caught.value.remedy == "npuc tools install snapdragon --accept-licence"


def test_an_installed_tool_gives_its_interpreter(installed):
    assert installed.require() == installed.python


def test_a_tool_of_another_lock_is_refused(installed):
    (installed.path / RECORD_NAME).write_text(json.dumps({"lock_sha256": "0" * 64, "version": "2.6.0"}))
    with pytest.raises(ToolError, match=r"another version(.|\n)*2\.6\.0(.|\n)*npuc tools install"):
        installed.require()


@pytest.mark.parametrize("record", ["", "[1]", '{"lock_sha256"'])
def test_a_damaged_record_counts_as_not_installed(installed, record):
    (installed.path / RECORD_NAME).write_text(record)
    assert installed.record() is None
    with pytest.raises(ToolError, match="not installed"):
        installed.require()


def test_a_folder_without_interpreter_counts_as_not_installed(installed):
    installed.python.unlink()
    assert not installed.is_current()


def test_remove_says_whether_there_was_anything(installed):
    assert installed.remove()
    assert not installed.path.exists()
    assert not installed.remove()
