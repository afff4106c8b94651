import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.core.rewrite import Rewrite
from passes.core.run_passes import run_passes
from passes.normalize.fuse_gelu import FuseGelu
from program.remark import Remark

TEXT = "g (float[2] x) => (float[2] y) { y = Neg(x) }"


class Noting(Rewrite):
    def rewrite_node(self, graph, node):
        self.remark(node, "seen", "it was there")
        return False


class Refusing(Rewrite):
    def rewrite_node(self, graph, node):
        raise PassError("not this one", where=node.name)


class Failing(Rewrite):
    def rewrite_node(self, graph, node):
        raise ir.passes.PassError("broken")


def test_remarks_and_observer(model_from, component_of):
    seen = []
    component = component_of(model_from(TEXT))
    remarks = run_passes(
        component, [Noting(), FuseGelu()], lambda name, model, seconds: seen.append((name, seconds >= 0))
    )
    assert remarks == [Remark("Noting", "neg_0", "", "seen", "it was there")]
    assert seen == [("Noting", True), ("FuseGelu", True)]


def test_refusals_name_component_and_pass(model_from, component_of):
    with pytest.raises(PassError, match="component part, Refusing: neg_0") as caught:
        run_passes(component_of(model_from(TEXT)), [Refusing()])
    assert caught.value.exit_code == 3


def test_failures_of_the_infrastructure_are_translated(model_from, component_of):
    with pytest.raises(PassError, match="broken"):
        run_passes(component_of(model_from(TEXT)), [Failing()])
