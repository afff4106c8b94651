import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.modality import SCOPE_KEY
from passes.learning.training.torch_graph.layers import cut_layers, layer_of


def node(scope):
    return ir.Node("", "Neg", [ir.Value(name="x")], metadata_props={SCOPE_KEY: scope} if scope else {})


@pytest.mark.parametrize(
    ("scope", "layer"),
    [
        ("layers.3.self_attn.q_proj", "layers.3"),
        ("decoder.blocks.12", "decoder.blocks.12"),
        ("model.layers.1.experts.7.up", "model.layers.1"),
        ("embed_tokens", ""),
        ("conv1.weight", ""),
        ("", ""),
    ],
)
def test_the_layer_is_the_path_up_to_its_first_number(scope, layer):
    assert layer_of(node(scope)) == layer


def test_a_node_without_scope_belongs_to_the_layer_of_its_weight():
    weight = ir.Value(name="h.2.mlp.weight", const_value=ir.tensor([1.0], name="h.2.mlp.weight"))
    graph = ir.Graph([], [], nodes=[], initializers=[weight])
    graph.append(ir.Node("", "Neg", [weight]))
    assert layer_of(graph[0]) == "h.2"


def names(*scopes):
    return [(layer.name, len(layer.nodes)) for layer in cut_layers([node(scope) for scope in scopes])]


def test_nodes_between_two_of_a_layer_belong_to_it():
    found = names("embed", "layers.0.a", "", "layers.0.b", "layers.1.a", "norm", "head")
    assert found == [("between.0", 1), ("layers.0", 3), ("layers.1", 1), ("between.1", 2)]


def test_mixed_layers_are_cut_into_pieces():
    assert names("l.0", "l.1", "l.0", "l.1") == [("l.0", 1), ("l.1", 1), ("l.0.part1", 1), ("l.1.part1", 1)]


@given(st.lists(st.sampled_from(["", "l.0", "l.1.x", "l.2", "norm"]), max_size=12))
def test_every_node_is_in_one_layer_in_order(scopes):
    nodes = [node(scope) for scope in scopes]
    layers = cut_layers(nodes)
    assert [item for layer in layers for item in layer.nodes] == nodes
    assert len({layer.name for layer in layers}) == len(layers)
