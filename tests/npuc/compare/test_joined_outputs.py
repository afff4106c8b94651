"""Where a graph joins its outputs of several tensors."""

import itertools

import onnx
import onnx_ir as ir
import pytest

from npuc.compare.joined_outputs import joined_outputs


def joined(body, inputs="float[1,4,6] a, float[1,3,6] b", output="float[1,7,6] y"):
    text = f'<ir_version: 8, opset_import: ["": 18]> g ({inputs}) => ({output}) {{ {body} }}'
    model = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))
    return joined_outputs(model)


def test_a_concat():
    assert joined("y = Concat<axis = 1>(a, b)") == {"y": {1: [4]}}
    assert joined("y = Concat<axis = -2>(a, b)") == {"y": {1: [4]}}


def test_inner_concats():
    body = "c = Concat<axis = 1>(a, b)\n y = Concat<axis = 1>(b, c)"
    assert joined(body, output="float[1,10,6] y") == {"y": {1: [3, 7]}}


def test_heads_that_are_joined_alike():
    body = "c = Concat<axis = 1>(a, b)\n d = Sigmoid(c)\n y = Concat<axis = 2>(c, d)"
    assert joined(body, output="float[1,7,12] y") == {"y": {1: [4], 2: [6]}}
    other = "c = Concat<axis = 1>(a, b)\n d = Concat<axis = 1>(b, a)\n y = Concat<axis = 2>(c, d)"
    assert joined(other, output="float[1,7,12] y") == {"y": {2: [6]}}


@pytest.mark.parametrize(
    ("operator", "output", "expected"),
    [
        ("Transpose<perm = [0, 2, 1]>(c)", "float[1,6,7] y", {2: [4]}),
        ("Transpose(c)", "float[6,7,1] y", {1: [4]}),
        ("Cast<to = 10>(c)", "float16[1,7,6] y", {1: [4]}),
        ("Mul(c, factor)", "float[1,7,6] y", {1: [4]}),
        ("Reshape(c, squeezed)", "float[7,6] y", {0: [4]}),
        ("Reshape(c, split)", "float[1,7,2,3] y", {1: [4]}),
        ("Reshape(c, flat)", "float[42] y", None),
        ("Relu(c)", "float[1,7,6] y", {1: [4]}),
        ("ReduceSum<keepdims = 0>(c, axis)", "float[1,7] y", None),
    ],
)
def test_what_stands_between_the_concat_and_the_output(operator, output, expected):
    constants = """
        factor = Constant<value = float[6] {1, 2, 3, 4, 5, 6}>()
        squeezed = Constant<value = int64[2] {7, 6}>()
        split = Constant<value = int64[4] {1, 7, 2, 3}>()
        flat = Constant<value = int64[1] {42}>()
        axis = Constant<value = int64[1] {2}>()
    """
    found = joined(f"{constants} c = Concat<axis = 1>(a, b)\n y = {operator}", output=output)
    assert found == ({} if expected is None else {"y": expected})


def test_an_output_that_nothing_joins_or_makes():
    assert joined("y = Relu(a)", output="float[1,4,6] y") == {}
    assert joined("y = Concat<axis = 1>(a)", output="float[1,4,6] y") == {}


def test_a_chain_longer_than_pythons_stack():
    names = ["c", *(f"v{number}" for number in range(2000))]
    chain = "\n".join(f"{after} = Relu({before})" for before, after in itertools.pairwise(names))
    body = f"c = Concat<axis = 1>(a, b)\n{chain}\ny = Relu({names[-1]})"
    assert joined(body) == {"y": {1: [4]}}
