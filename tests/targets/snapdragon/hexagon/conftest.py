"""Lowers integer programs and runs them under the emulator."""

import shutil

import numpy as np
import pytest

from targets.snapdragon.hexagon.lower import lower_program


@pytest.fixture(scope="session", autouse=True)
def emulator():
    if shutil.which("qemu-hexagon") is None:
        pytest.skip("qemu-hexagon is not installed: sudo apt-get install -y qemu-user")


@pytest.fixture(scope="session")
def lower(tmp_path_factory):
    def build(program, layout="packed"):
        return lower_program(program, tmp_path_factory.mktemp(program.name), layout, strip=False, device=None)

    return build


@pytest.fixture(scope="session")
def random_codes():
    def draw(program, seed=0):
        rng = np.random.default_rng(seed)
        return {t.name: rng.integers(0, 256, t.shape).astype(np.uint8) for t in program.inputs}

    return draw
