"""The list of operators that is read without TVM is that of the converters."""

import onnx_ir as ir
import pytest

from targets.tvm.importer import operators  # noqa: F401 (registers the converters)
from targets.tvm.importer.registry import CONVERTERS
from targets.tvm.supported_operators import CONVERTED, STATIC, is_supported


def test_the_list_is_that_of_the_converters():
    assert sorted(CONVERTED) == sorted(CONVERTERS)
    assert STATIC.isdisjoint(CONVERTED)


@pytest.mark.parametrize(
    ("domain", "operator", "supported"),
    [("", "Add", True), ("", "Range", True), ("", "NonZero", False), ("com.microsoft", "Gelu", False)],
)
def test_only_standard_operators_are_supported(domain, operator, supported):
    assert is_supported(ir.Node(domain, operator, [])) is supported
