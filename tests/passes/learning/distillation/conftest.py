"""Two tiny Qwen3-VL folders, made once."""

import pytest

from tests.tiny_qwen3_vl import build


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    pass


@pytest.fixture(scope="package")
def tiny_qwen3_vl(tmp_path_factory):
    """Name → folder."""
    folders = {}
    for name in ("tied", "untied"):
        folders[name] = tmp_path_factory.mktemp(name)
        build(folders[name], tied=name == "tied")
    return folders
