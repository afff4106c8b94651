import os

import pytest

from exporter.sources import fingerprint
from exporter.sources.fingerprint import source_fingerprint, source_identity


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(64))
    return tmp_path


def test_the_fingerprint_follows_the_bytes_and_not_the_times(folder):
    first = source_fingerprint(str(folder))
    os.utime(folder / "config.json", (1, 1))
    assert source_fingerprint(str(folder)) == first == source_identity(str(folder))
    (folder / "config.json").write_text("[]")
    assert source_fingerprint(str(folder)) != first


def test_large_sources_are_recognised_by_size_and_time(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "SIZE_LIMIT", 32)
    assert source_fingerprint(str(folder)) is None
    first = source_identity(str(folder))
    assert first is not None and source_identity(str(folder)) == first
    os.utime(folder / "model.safetensors", (1, 1))
    assert source_identity(str(folder)) != first


def test_code_and_absent_files_are_not_recognised(tmp_path):
    assert source_identity("model.py:build") is None
    assert source_identity(str(tmp_path / "none")) is None
