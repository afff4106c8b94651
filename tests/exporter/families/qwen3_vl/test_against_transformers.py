"""The captured components against the unmodified transformers model: each alone, then all in generation."""

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from exporter.calibration import image_requests
from exporter.errors import RequestError
from exporter.families.kv_cache import MASKED
from program.program import Request

TOLERANCE = 1e-4


def processed(qwen, image):
    """Pixels and grid by transformers' own processor; the picture has the captured size already."""
    processor = Qwen2VLImageProcessorPil.from_pretrained(qwen.folder)
    return processor(images=[image.resize((96, 64))], return_tensors="pt")


def encoded(qwen, request):
    """Prompt ids by transformers' tokenizer and template, with the image token repeated by hand."""
    content = [{"type": "image"}, {"type": "text", "text": request.prompt}]
    text = qwen.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    ids = qwen.tokenizer(text.replace("<|image_pad|>", "<|image_pad|>" * 6))["input_ids"]
    return torch.tensor([ids])


def close(actual, expected):
    scale = max(1.0, float(expected.abs().max()))
    return float(np.abs(actual - expected.detach().numpy()).max()) <= TOLERANCE * scale


def test_vision_encoder_is_equal(qwen):
    image = image_requests(0, 1, (64, 96))[0].image
    inputs = processed(qwen, image)
    with torch.no_grad():
        expected = qwen.reference.model.visual(inputs["pixel_values"], inputs["image_grid_thw"])
    outputs = qwen.executors["vision_encoder"]({"patches": inputs["pixel_values"].numpy()[None]})
    assert close(outputs["image_embeddings"][0], expected.pooler_output)
    assert len(expected.deepstack_features) == len(outputs) - 1
    for index, feature in enumerate(expected.deepstack_features):
        assert close(outputs[f"deepstack_{index}"][0], feature)


def test_embedding_is_equal(qwen):
    ids = np.arange(16, dtype=np.int64)[None] * 7
    outputs = qwen.executors["embedding"]({"input_ids": ids})
    expected = qwen.reference.model.language_model.embed_tokens(torch.from_numpy(ids))
    assert close(outputs["embeddings"], expected)


@pytest.fixture
def decoder_feeds(qwen):
    """A chunk of 16 random rows with three-dimensional positions and deepstack features on rows 3 to 8."""
    rng = np.random.default_rng(3)
    specs = {spec.name: spec for spec in qwen.program.components["prefill"].inputs}
    feeds = {name: np.zeros(spec.shape, spec.numpy_dtype) for name, spec in specs.items()}
    feeds["inputs_embeds"] = rng.standard_normal(specs["inputs_embeds"].shape).astype(np.float32)
    feeds["position_ids"] = np.sort(rng.integers(0, 20, (3, 1, 16)), axis=2)
    feeds["logit_index"] = np.array([15])
    mask = np.full((16, 96 + 16), MASKED, np.float32)
    mask[:, 96:][np.tril(np.ones((16, 16), bool))] = 0
    feeds["mask"] = mask[None, None]
    for name in specs:
        if name.startswith("deepstack_"):
            feeds[name][:, 3:9] = rng.standard_normal(feeds[name][:, 3:9].shape)
    return feeds


def reference_decoder(qwen, feeds, rows):
    """The first `rows` rows through transformers' decoder: logits of the last, keys and values."""
    visual = torch.zeros(1, rows, dtype=torch.bool)
    visual[:, 3:9] = True
    features = [torch.from_numpy(feeds[name][0, 3:9]) for name in feeds if name.startswith("deepstack_")]
    with torch.no_grad():
        output = qwen.reference.model.language_model(
            inputs_embeds=torch.from_numpy(feeds["inputs_embeds"][:, :rows]),
            position_ids=torch.from_numpy(feeds["position_ids"][:, :, :rows]),
            visual_pos_masks=visual,
            deepstack_visual_embeds=features,
            use_cache=True,
        )
        return qwen.reference.lm_head(output.last_hidden_state[:, -1]), output.past_key_values


def test_prefill_is_equal(qwen, decoder_feeds):
    outputs = qwen.executors["prefill"](decoder_feeds)
    logits, cache = reference_decoder(qwen, decoder_feeds, 16)
    assert close(outputs["logits"], logits)
    for index, layer in enumerate(cache.layers):
        assert close(outputs[f"new_key_{index}"], layer.keys)
        assert close(outputs[f"new_value_{index}"], layer.values)


def test_decode_after_fifteen_cached_rows_is_equal(qwen, decoder_feeds):
    prefilled = qwen.executors["prefill"](decoder_feeds)
    feeds = {
        "inputs_embeds": decoder_feeds["inputs_embeds"][:, 15:],
        "position_ids": decoder_feeds["position_ids"][..., 15:],
    }
    feeds["mask"] = np.full((1, 1, 1, 97), MASKED, np.float32)
    feeds["mask"][..., :15] = feeds["mask"][..., 96] = 0
    for name in (name for name in decoder_feeds if name.startswith("past_")):
        feeds[name] = decoder_feeds[name].copy()
        feeds[name][:, :, :15] = prefilled[name.replace("past", "new")][:, :, :15]
    outputs = qwen.executors["decode"](feeds)
    logits, cache = reference_decoder(qwen, decoder_feeds, 16)
    assert close(outputs["logits"], logits)
    assert close(outputs["new_key_0"], cache.layers[0].keys[:, :, 15:])


@pytest.mark.parametrize("index", range(3))
def test_generates_the_same_sixteen_tokens(qwen, index):
    request = image_requests(7, 3, (64, 96))[index]
    ids, inputs = encoded(qwen, request), processed(qwen, request.image)
    image_token = qwen.program.settings["image_token_id"]
    generated = qwen.reference.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=(ids == image_token).int(),
        max_new_tokens=16,
        do_sample=False,
        **inputs,
    )[0, ids.shape[1] :].tolist()
    answer = qwen.runner.generate(qwen.executors, request, 16)
    expected = [token for token in generated if token not in qwen.program.settings["eos_token_ids"]]
    assert len(expected) >= 8
    assert list(answer.tokens) == expected
    assert list(qwen.runner.encode(request)) == ids[0].tolist()
    assert "".join(qwen.runner.stream(qwen.executors, request, 16)) == answer.text


def test_text_alone_generates_the_same_tokens_over_several_chunks(qwen):
    prompt = "What expires first on this long shelf of milk, bread, apples, and a compiler? " * 1
    text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([qwen.tokenizer(text)["input_ids"]])
    assert ids.shape[1] > 2 * 16
    generated = qwen.reference.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
    )[0, ids.shape[1] :].tolist()
    answer = qwen.runner.generate(qwen.executors, Request(prompt=prompt), 8)
    assert list(answer.tokens) == [t for t in generated if t not in qwen.program.settings["eos_token_ids"]]


def test_too_long_an_answer_is_refused(qwen):
    with pytest.raises(RequestError, match="the cache holds 96"):
        qwen.runner.generate(qwen.executors, Request(prompt="hello"), 96)


def test_image_tokens_in_the_prompt_are_refused(qwen):
    with pytest.raises(RequestError, match="1 image tokens in the text for 0 pictures"):
        qwen.runner.encode(Request(prompt="<|image_pad|>"))
