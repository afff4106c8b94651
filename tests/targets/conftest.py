"""Session-wide builder of components."""

import pytest

from tests.targets.support import Builder


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    return Builder(tmp_path_factory.mktemp("components"))
