import pytest
from onnxscript.function_libs.torch_lib.ops import core

from exporter.operator_signatures import parsed_once


def test_signatures_are_those_of_onnxscript_and_parsed_once():
    expected = core.aten_add.function_ir
    with parsed_once():
        found = core.aten_add.function_ir
        assert core.aten_add.function_ir is found
    assert (found.domain, found.name) == (expected.domain, expected.name)
    assert [value.name for value in found.inputs] == [value.name for value in expected.inputs]


def test_onnxscript_is_left_as_it_was():
    with pytest.raises(RuntimeError), parsed_once():
        raise RuntimeError
    assert core.aten_add.function_ir is not core.aten_add.function_ir
