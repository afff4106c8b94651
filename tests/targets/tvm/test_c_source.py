"""Names of a model in the emitted C files are text in comments, whatever they hold."""

import re

import onnx_ir as ir
from hypothesis import given, settings
from hypothesis import strategies as st

from program.program import TensorSpec
from targets.tvm import toolchain
from targets.tvm.c_source import ComponentCode, render_header, render_runner_config, render_source
from targets.tvm.call_sequence import CallSequence

NAMES = st.text(st.characters(codec="utf-8"), max_size=40) | st.lists(
    st.sampled_from(
        ["*/", "/*", "//", "*", "/", "\\", "\n", "??/", "\\\n", '"', "#", "x", "{{ name }}", "\u2028"]
    )
).map("".join)
ATTACKS = [
    "x */ static int injected = 1; /*",
    "*\\\n/ static int injected;",
    "*??/\n/ static int injected;",
    "x\n#error injected",
    "\u202e*/",
]


def code(names):
    specs = tuple(TensorSpec(name, ir.DataType.FLOAT, (1, 4)) for name in names)
    return ComponentCode("model", CallSequence((), (), (), 0, b""), specs, specs[:1], 0, 0)


def uncommented(text):
    assert text.count("/*") == text.count("*/")
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=5))
def test_names_do_not_change_the_code(names):
    plain, named = code([f"n{index}" for index, _ in enumerate(names)]), code(names)
    for render in (render_header, render_source, render_runner_config):
        assert uncommented(render(named)) == uncommented(render(plain))
        assert len(render(named).splitlines()) == len(render(plain).splitlines())


def test_a_header_with_hostile_names_compiles(tmp_path):
    attacks = code(ATTACKS)
    (tmp_path / "model.h").write_text(render_header(attacks), "utf-8")
    (tmp_path / "runner_config.h").write_text(render_runner_config(attacks), "utf-8")
    (tmp_path / "use.c").write_text('#include "runner_config.h"\nint injected(void) { return 0; }\n')
    toolchain.compile_object(
        "x86_64-linux-musl", "use.c", "use.o", tmp_path, ("-Wall", "-Werror", "-Wno-unused")
    )
    assert (tmp_path / "use.o").stat().st_size
