"""Two tiny Qwen3-VL folders, made once."""

import pytest
import torch

from tests.tiny_qwen3_vl import build


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def tiny_qwen3_vl(tmp_path_factory):
    """Name → folder."""
    folders = {}
    for name in ("tied", "untied"):
        folders[name] = tmp_path_factory.mktemp(name)
        build(folders[name], tied=name == "tied")
    return folders
