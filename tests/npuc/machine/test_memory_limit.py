"""A model that needs more memory than there is, is refused before it is read; later there is one line too."""

import errno
import resource
import subprocess
import sys

import pytest
from onnx import TensorProto, helper

from exporter.errors import SourceError
from exporter.sources.examine import Examined
from npuc.errors import ResourceError, UsageError
from npuc.machine import memory_limit
from npuc.machine.memory_limit import is_out_of_memory, memory_bound, needed_memory, parse_memory


@pytest.mark.parametrize(
    ("text", "size"), [("8G", 8 << 30), ("2048M", 2 << 30), ("1 tib", 1 << 40), ("3000000000", 3_000_000_000)]
)
def test_sizes(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1.5G", "0", "512K", "8X", "9" * 30])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="--memory-limit"):
        parse_memory(text)


def test_what_a_model_declares_is_checked_first():
    examined = Examined(weights=1 << 40, parsed=1 << 29, largest=1 << 29, live=1 << 30)
    assert needed_memory(examined) == 3 << 30
    with memory_bound("3G", examined):
        pass
    with (
        pytest.raises(ResourceError, match=r"(?s)--memory-limit allows.*3\.0 GiB at least, of 2\.0 GiB"),
        memory_bound("2G", examined),
    ):
        pass


def test_the_default_is_what_the_machine_has_free(monkeypatch):
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 1 << 30)
    with (
        pytest.raises(ResourceError, match="needs more memory than there is"),
        memory_bound(None, Examined(0, live=(1 << 30) + 1)),
    ):
        pass


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_each_way_to_run_out_is_one_error(error):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(ResourceError, match=r"(?s)ran out of memory.*4\.0 GiB"), memory_bound("4G", None):
        raise SourceError("a graph cannot be read") from error
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_another_error_stays_as_it_is():
    with pytest.raises(SourceError, match="damaged"), memory_bound("4G", None):
        raise SourceError("damaged") from ValueError("bad header")
    assert not is_out_of_memory(None)


def test_the_kernel_enforces_it():
    code = (
        "from npuc.machine.memory_limit import memory_bound\n"
        "with memory_bound('1G', None):\n"
        "    bytearray(1 << 29)\n"
        "    bytearray(1 << 30)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ResourceError: a compile ran out of memory" in result.stderr


def test_a_compile_says_how_much_is_needed(npuc, tmp_path):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1 << 28]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    result = npuc(
        "compile",
        tmp_path / "m.onnx",
        "--device",
        "galaxy-s25",
        "--memory-limit",
        "1G",
        "-o",
        tmp_path / "out",
    )
    assert result.code == 4 and "2.0 GiB at least, of 1.0 GiB" in result.err
    assert npuc("coverage", tmp_path / "m.onnx", "--device", "galaxy-s25", "--memory-limit", "1G").code == 4
