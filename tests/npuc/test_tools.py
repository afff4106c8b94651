import json

import pytest

from targets.tools.tool import find_tool


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NPUC_CACHE", str(tmp_path))


def test_list_offers_the_install_command(npuc):
    result = npuc("tools", "list")
    assert result.code == 0
    assert "not installed" in result.out
    assert "npuc tools install snapdragon --accept-licence" in result.out


def test_install_without_the_licence_names_it(npuc, tmp_path):
    result = npuc("tools", "install", "snapdragon")
    assert result.code == 2
    assert "Qualcomm AI Stack License" in result.err
    assert "--accept-licence" in result.err
    assert not (tmp_path / "tools").exists()


def test_unknown_tool_is_a_usage_error(npuc):
    result = npuc("tools", "install", "hexagon")
    assert result.code == 2
    assert "snapdragon" in result.err


def test_another_version_is_listed_and_can_be_removed(npuc, tmp_path):
    folder = tmp_path / "tools" / "snapdragon"
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").write_text("")
    (folder / "installed.json").write_text(json.dumps({"version": "2.6.0", "lock_sha256": "0"}))
    assert "version 2.6.0" in npuc("tools", "list").out
    assert find_tool("snapdragon").version != "2.6.0"
    assert "is removed" in npuc("tools", "remove", "snapdragon").out
    assert not folder.exists()
    assert "was not installed" in npuc("tools", "remove", "snapdragon").out
