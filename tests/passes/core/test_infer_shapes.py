import pytest

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes


def test_intermediate_values_get_types(model_from):
    model = model_from("g (float[2,3] x) => (float[3,2] y) { t = Transpose<perm=[1,0]>(x) y = Neg(t) }")
    model.graph[0].outputs[0].shape = None
    InferShapes()(model)
    assert tuple(model.graph[0].outputs[0].shape.numpy()) == (3, 2)


def test_data_dependent_shapes_are_refused(model_from):
    model = model_from("g (float[2,3] x) => (int64[2,n] y) { y = NonZero(x) }")
    with pytest.raises(PassError, match="cannot be determined"):
        InferShapes()(model)
