import onnx
import pytest
from onnx import helper

from exporter.errors import ExportError, SourceError
from exporter.sources.onnx_files.function_calls import MAX_NODES, check_functions

OPSETS = [helper.make_opsetid("", 23), helper.make_opsetid("f", 1)]


def model(calls, root="a"):
    """Functions by name, each with the functions it calls; `Relu` is an operator."""

    def node(callee):
        return helper.make_node(callee, ["x"], ["y"], domain="f" if callee in calls else "")

    functions = [
        helper.make_function("f", name, ["x"], ["y"], [node(callee) for callee in body], OPSETS)
        for name, body in calls.items()
    ]
    graph = helper.make_graph([helper.make_node(root, ["x"], ["y"], domain="f")], "g", [], [])
    return helper.make_model(graph, functions=functions, opset_imports=OPSETS)


def test_functions_that_end_pass(tmp_path):
    check_functions(model({"a": ["b", "b", "Relu"], "b": ["Relu"]}), tmp_path)
    chain = {f"f{index}": [f"f{index + 1}"] for index in range(5000)} | {"f5000": ["Relu"]}
    check_functions(model(chain, "f0"), tmp_path)


@pytest.mark.parametrize("calls", [{"a": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["Relu", "b"]}])
def test_functions_that_call_themselves_are_refused(tmp_path, calls):
    with pytest.raises(SourceError, match="calls itself"):
        check_functions(model(calls), tmp_path)


@pytest.mark.parametrize("depth", [18, 200])
def test_functions_that_double_are_counted(tmp_path, depth):
    calls = {f"f{index}": [f"f{index + 1}"] * 2 for index in range(depth)} | {f"f{depth}": ["Relu"]}
    with pytest.raises(ExportError, match=f"more than {MAX_NODES} nodes"):
        check_functions(model(calls, "f0"), tmp_path)


def test_two_functions_of_one_name_are_refused(tmp_path):
    proto = model({"a": ["Relu"]})
    proto.functions.append(onnx.FunctionProto(domain="f", name="a"))
    with pytest.raises(SourceError, match="one name"):
        check_functions(proto, tmp_path)
