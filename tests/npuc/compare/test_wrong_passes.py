"""The gates themselves: with any pass made wrong, a compile fails, and the pass or the node is named."""

import types

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

import npuc
import passes.pipeline
from npuc.errors import AgreementError
from npuc.settings.recipe import Recipe
from passes.core.rewrite import Builder
from passes.float.convert_float16 import ConvertFloat16
from passes.float.insert_fp8_qdq import InsertFp8Qdq
from passes.normalize.eliminate_noop import EliminateNoop
from passes.normalize.fuse_gelu import FuseGelu
from passes.normalize.split_gemm import SplitGemm

FLOAT16 = Recipe.model_validate(
    {"precision": {"vision": "base", "text": "base", "audio": "base", "base": "float16"}}
)


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path):
    """Gemm, a GELU written out, an addition of nothing, and a product."""
    rng = np.random.default_rng(0)

    def weight(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) / 4, name)

    def constant(name, value):
        return numpy_helper.from_array(np.array(value, np.float32), name)

    step = helper.make_node
    nodes = [
        step("Gemm", ["x", "w", "b"], ["h"], transB=1),
        step("Div", ["h", "root"], ["scaled"]),
        step("Erf", ["scaled"], ["erf"]),
        step("Add", ["erf", "one"], ["shifted"]),
        step("Mul", ["h", "shifted"], ["gated"]),
        step("Mul", ["gated", "half"], ["gelu"]),
        step("Add", ["gelu", "zero"], ["same"]),
        step("MatMul", ["same", "v"], ["y"]),
    ]
    constants = [
        weight("w", 24, 16),
        weight("b", 24),
        weight("v", 24, 8),
        constant("root", 2**0.5),
        constant("one", 1),
        constant("half", 0.5),
        constant("zero", 0),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, s]) for n, s in (("x", 16), ("y", 8))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return path


def scale_output(graph, factor):
    """Multiplies what the graph returns: what any wrong rewrite does, in one place."""
    output = graph.outputs[0]
    producer = output.producer()
    name, output.name = output.name, f"{output.name}/right"
    dtype = output.dtype.numpy()
    wide = ir.Value(
        name="wrong", const_value=ir.tensor(np.array(factor, dtype), name="wrong"), type=output.type
    )
    graph.register_initializer(wide)
    node = ir.Node("", "Mul", [output, wide], name="wrong")
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = name, output.type, output.shape
    graph.insert_after(producer, node)
    graph.outputs[0] = node.outputs[0]


def wrong_after(step, factor):
    """A pass object that does what another one does, and then something wrong, under the same name."""
    name = type(step).__name__

    def call(self, model):
        result = step(model)
        self.remarks = step.remarks
        scale_output(model.graph, factor)
        return result

    made = types.new_class(name, (), exec_body=lambda body: body.update(__call__=call))()
    made.remarks, made.needs, made.gives = [], step.needs, ()
    return made


def wrong_once(right, factor=1.001):
    """A factory whose pass is wrong, once in a graph."""

    def make(component, keep):
        step = right(component, keep)
        ran = "wrong" in component.model.graph.initializers
        return step if ran else wrong_after(step, factor)

    return make


@pytest.mark.parametrize("name", sorted(passes.pipeline.PASSES))
def test_any_normalisation_pass_that_changes_the_result_is_named(name, model, tmp_path, monkeypatch):
    right = passes.pipeline.PASSES[name]
    monkeypatch.setitem(passes.pipeline.PASSES, name, wrong_once(right))
    monkeypatch.setattr("npuc.stages.capture.normalize.NORMALISATION", _once_each())
    with pytest.raises(AgreementError, match="does not compute what the model computes") as caught:
        npuc.compile(model, device="vivo-x200", tier="high", out=tmp_path / "out", recipe=FLOAT16)
    component = types.SimpleNamespace(name="model", modality=None)
    assert f"pass {type(right(component, frozenset())).__name__}" in caught.value.where
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()


def _once_each():
    """Each pass once, those of the product's order first, so that a name stands for one place."""
    return tuple(dict.fromkeys((*passes.pipeline.NORMALISATION, *passes.pipeline.PASSES)))


class TanhGelu(FuseGelu):
    """Takes the approximation of GELU for GELU."""

    def call(self, model):
        result = super().call(model)
        for node in model.graph:
            if node.op_type == "Gelu":
                node.attributes["approximate"] = ir.AttrString("approximate", "tanh")
        return result


class AnyConstantIsNothing(EliminateNoop):
    """Takes every addition of a constant for an addition of nothing."""

    def rewrite_node(self, graph, node):
        if node.op_type == "Add" and node.inputs[1].is_initializer():
            node.outputs[0].replace_all_uses_with(node.inputs[0])
            graph.remove(node, safe=True)
            return True
        return super().rewrite_node(graph, node)


class ForgetsBias(SplitGemm):
    """Splits a Gemm into its product alone."""

    def rewrite_node(self, graph, node):
        if node.op_type != "Gemm":
            return False
        build = Builder(graph, node)
        turned = build.op("Transpose", node.inputs[1], perm=[1, 0])
        product = build.op("MatMul", node.inputs[0], turned)
        node.outputs[0].replace_all_uses_with(product)
        graph.remove(node, safe=True)
        return True


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("fuse_gelu", TanhGelu), ("eliminate_noop", AnyConstantIsNothing), ("split_gemm", ForgetsBias)],
)
def test_mistakes_as_they_are_made_are_named(name, wrong, model, tmp_path, monkeypatch):
    monkeypatch.setitem(passes.pipeline.PASSES, name, lambda *_: wrong())
    with pytest.raises(AgreementError) as caught:
        npuc.compile(model, device="vivo-x200", tier="high", out=tmp_path / "out", recipe=FLOAT16)
    assert f"pass {wrong.__name__}" in caught.value.where


class RoundsTwice(ConvertFloat16):
    """Keeps eight bits of every weight."""

    def call(self, model):
        result = super().call(model)
        for value in model.graph.initializers.values():
            if value.dtype == ir.DataType.FLOAT16:
                rounded = np.round(value.const_value.numpy().astype(np.float32) * 16) / 16
                value.const_value = ir.tensor(rounded.astype(np.float16), name=value.name)
        return result


class ScalesTwice(InsertFp8Qdq):
    """Decodes what it encodes with another scale."""

    def call(self, model):
        result = super().call(model)
        for node in model.graph:
            if node.op_type == "DequantizeLinear" and node.inputs[1].is_initializer():
                tensor = node.inputs[1].const_value.numpy()
                node.inputs[1].const_value = ir.tensor(
                    (tensor * 4).astype(tensor.dtype), name=node.inputs[1].name
                )
        return result


@pytest.mark.parametrize(
    ("name", "wrong", "recipe"),
    [("ConvertFloat16", RoundsTwice, FLOAT16), ("InsertFp8Qdq", ScalesTwice, Recipe())],
)
def test_a_float_pass_that_loses_the_signal_fails_with_the_node(
    name, wrong, recipe, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(passes.pipeline, name, wrong)
    with pytest.raises(AgreementError, match="lose what the model computes") as caught:
        npuc.compile(model, device="vivo-x200", tier="high", out=tmp_path / "out", recipe=recipe)
    assert "node " in caught.value.where
    assert "dB" in caught.value.where
