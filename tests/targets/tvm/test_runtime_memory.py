"""The C library functions of the runtime, run on this machine."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import targets.tvm.runtime
from targets.tvm.toolchain import compile_object, zig_target

HOST = "x86_64-unknown-linux-gnu"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("npuc_runtime.h", "npuc_runtime.c"):
        shutil.copy(Path(targets.tvm.runtime.__path__[0]) / name, folder)
    compile_object(HOST, "npuc_runtime.c", "npuc_runtime.o", folder, ["-fPIC"])
    command = [
        "cc",
        "-target",
        zig_target(HOST),
        "-shared",
        "-nostdlib",
        "npuc_runtime.o",
        "-o",
        "runtime.so",
    ]
    subprocess.run([sys.executable, "-m", "ziglang", *command], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "runtime.so"))


@pytest.mark.parametrize("value", [0, 1, 0x80, -1])
def test_memset_writes_its_bytes_and_no_others(runtime: ctypes.CDLL, value: int) -> None:
    memset = runtime.memset
    memset.argtypes, memset.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t], ctypes.c_void_p
    for start in range(9):
        for count in range(33):
            memory = ctypes.create_string_buffer(b"\x5a" * 48, 48)
            target = ctypes.addressof(memory) + start
            assert memset(target, value, count) == target
            expected = b"\x5a" * start + bytes([value % 256]) * count + b"\x5a" * (48 - start - count)
            assert memory.raw == expected
