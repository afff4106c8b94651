import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.core.graph_pass import GraphPass
from passes.core.properties import ALIVE, AXES, CONSTANTS_SECOND, SHAPES, TAGGED, require, without
from passes.core.run_passes import run_passes
from passes.normalize.tag_modality import TagModality
from passes.pipeline import NORMALISATION, QUANTISED_NORMALISATION, create_pass
from program.program import Modality


@pytest.mark.parametrize(
    ("entry", "holds", "fails"),
    [
        (without("Gemm"), "y = Relu(x)", "y = Gemm(x, x)"),
        (ALIVE, "y = Relu(x)", "z = Neg(x) y = Relu(x)"),
        (CONSTANTS_SECOND, "y = Add(x, c)", "y = Add(c, x)"),
        (AXES, "y = ReduceSum(x, a)", "y = ReduceSum(x, b)"),
    ],
)
def test_a_property_names_the_node_that_breaks_it(entry, holds, fails):
    def model(body):
        text = f"""<ir_version: 10, opset_import: ["" : 23]> g (float[2,2] x) => (float[2,2] y)
            <float[1] c = {{2}}, int64[1] a = {{0}}, int64 b = {{0}}> {{ {body} }}"""
        return ir.from_onnx_text(text)

    require(model(holds), [entry], "here")
    with pytest.raises(PassError, match="it is not so that"):
        require(model(fails), [entry], "here")


def test_shapes_and_tags_are_found_missing(model_from, component_of):
    model = model_from("g (float[2] x) => (float[2] y) { t = Relu(x) y = Neg(t) }")
    for entry in (SHAPES, TAGGED):
        with pytest.raises(PassError, match="it is not so that"):
            require(model, [entry], "here")
    run_passes(
        component_of(model), [create_pass("infer_shapes", component_of(model)), TagModality(Modality.TEXT)]
    )
    require(model, [SHAPES, TAGGED], "here")


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_pass_that_does_not_keep_its_word_is_named(model_from, component_of, when):
    class Liar(GraphPass):
        needs = (without("Relu"),) if when == "before" else ()
        gives = (without("Relu"),) if when == "behind" else ()

        def call(self, model):
            return ir.passes.PassResult(model, False)

    model = model_from("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    with pytest.raises(PassError, match=f"{when} component part, Liar"):
        run_passes(component_of(model), [Liar()])


@pytest.mark.parametrize("names", [NORMALISATION, QUANTISED_NORMALISATION])
def test_what_a_pass_needs_was_given_before_it(names, model_from, component_of):
    """The order of the pipelines; that it still holds on real graphs is checked wherever tests run them."""
    component = component_of(model_from("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    given = set()
    for step in (create_pass(name, component) for name in names):
        missing = [entry.name for entry in step.needs if entry.name not in given]
        assert not missing, f"{type(step).__name__} needs that {missing[0]}"
        given |= {entry.name for entry in step.gives}
