import pytest

from passes.core.errors import PassError
from targets.snapdragon.htp.legalize.refuse_unsupported import REFUSED, RefuseUnsupported


def test_an_error_function_of_its_own_is_refused_by_name(model_from):
    model = model_from("g (float[4] x) => (float[4] y) { y = Erf(x) }")
    with pytest.raises(PassError, match="does not take Erf") as caught:
        RefuseUnsupported().call(model)
    assert "erf_0" in caught.value.where and caught.value.remedy == REFUSED["Erf"]
    assert caught.value.exit_code == 3


def test_everything_else_stays(model_from):
    assert not RefuseUnsupported()(model_from("g (float[4] x) => (float[4] y) { y = Gelu(x) }")).modified
