import os

import pytest

from exporter.errors import SourceError
from exporter.files.regular_file import identity, open_regular, read_regular


def test_a_file_up_to_the_limit_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert read_regular(path, 4) == b"1234"
    with pytest.raises(SourceError, match=r"(?s)limit of 3 bytes.*4 bytes"):
        read_regular(path, 3)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "a")
    with pytest.raises(SourceError, match=r"regular|cannot be read"):
        open_regular(tmp_path / "a")


def test_another_file_has_another_identity(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1234")
    before = identity(path)
    assert identity(path) == before
    other.write_bytes(b"5678")
    os.utime(other, ns=(before[3], before[3]))
    other.replace(path)
    assert identity(path) != before
