"""Names of a model in files, C sources, shell lines and texts for people."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import SourceError
from program.model_names import (
    c_identifier,
    c_string,
    c_text,
    file_name,
    markdown_code,
    markdown_text,
    one_line,
    shell_word,
    visible,
)

NAMES = st.text(st.characters(codec=None), max_size=300)
AWKWARD = st.sampled_from(list("ab_.~-/\\:*?\"'`$|<>[]&;#\n\r\t\0\x1b\u202e\u2028 ä你")).map(str)
TEXTS = NAMES | st.lists(AWKWARD, max_size=12).map("".join)


@given(TEXTS)
def test_each_form_is_of_its_kind(name):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", c_identifier(name), re.ASCII)
    file = file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*", file, re.ASCII) and len(file) <= 120
    assert shlex.split(shell_word(name)) == [one_line(name)]
    for text in (c_text(name), one_line(name), markdown_text(name), markdown_code(name)):
        assert text.isprintable() and len(text.splitlines()) <= 1
    assert not set(c_text(name)) & set("*?")
    assert re.fullmatch(r'"([ !#-~]|\\[0-7]{3}|\\)*"', c_string(name), re.ASCII)
    assert all(character in "\n\t" or character.isprintable() for character in visible(name))


@given(TEXTS, TEXTS)
def test_two_names_never_become_one(first, second):
    if first != second:
        assert c_identifier(first) != c_identifier(second)
        assert file_name(first) != file_name(second)
        assert c_text(first) != c_text(second)


@given(TEXTS)
def test_a_form_used_as_a_name_is_not_taken_for_another(name):
    if c_identifier(name) != name:
        assert c_identifier(c_identifier(name)) != c_identifier(name)
    if file_name(name) != name:
        assert file_name(file_name(name)) != file_name(name)


@pytest.mark.parametrize("name", ["x", "vision_encoder", "layer_0_x1", "A9"])
def test_plain_names_stay(name):
    assert c_identifier(name) == file_name(name) == c_text(name) == shell_word(name) == name
    assert file_name("layers.0-b") == "layers.0-b"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "../up", "/root", "a/b", "y:0", "n" * 500])
def test_files_stay_in_their_folder(name):
    assert file_name(name).startswith((".", "/")) is False and "/" not in file_name(name)


def test_a_message_cannot_be_imitated_by_a_name():
    error = SourceError("bad", where="x\n  next:     run this", received="a\n  next:     run this\x1b[2J")
    assert [line for line in error.render().splitlines() if line.startswith("  next")] == []
    assert "\x1b" not in error.render()
