import re

import pytest

from targets.errors import ToolError
from targets.tools.tool import find_tool, tool_names


@pytest.mark.parametrize("tool", map(find_tool, tool_names()), ids=tool_names())
def test_every_package_of_a_lock_is_pinned_with_a_hash(tool):
    text = tool.lock().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ ]+( +--hash=sha256:[0-9a-f]{64})+", line) for line in entries)
    pinned = {line.split()[0] for line in entries}
    assert {item.lower().replace("_", "-") for item in tool.requirements} <= pinned


@pytest.mark.parametrize("tool", map(find_tool, tool_names()), ids=tool_names())
def test_a_compiled_package_has_a_wheel_for_every_python(tool):
    entry = tool.lock().split(f"{tool.package}=={tool.version}")[-1].split("==")[0]
    assert entry.count("--hash=") == len(tool.python)


def test_an_unknown_tool_is_refused_with_the_known_ones():
    with pytest.raises(ToolError, match="snapdragon") as caught:
        find_tool("snapdragonn")
    assert caught.value.exit_code == 4
