from passes.normalize.tag_modality import TagModality
from program.program import MODALITY_KEY, Modality

TEXT = "g (float[2] x, float[2] z) => (float[2] y) { a = Neg(x) b = Abs(a) c = Neg(z) y = Add(b, c) }"


def test_tags_follow_the_data_else_the_default(model_from):
    model = model_from(TEXT)
    neg, absolute, other, add = model.graph
    neg.metadata_props[MODALITY_KEY] = "vision"
    assert TagModality(Modality.TEXT)(model).modified
    tags = [node.metadata_props[MODALITY_KEY] for node in (neg, absolute, other, add)]
    assert tags == ["vision", "vision", "text", "text"]


def test_every_node_is_tagged_once(model_from):
    model = model_from(TEXT)
    TagModality(Modality.AUDIO)(model)
    assert all(node.metadata_props[MODALITY_KEY] == "audio" for node in model.graph)
    assert not TagModality(Modality.VISION)(model).modified
