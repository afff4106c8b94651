import pytest
import torch

from exporter.families.multimodal_transformer.layers import (
    Attention,
    DecoderBlock,
    FusionBlock,
    Pairing,
    Resampler,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@torch.no_grad()
def test_attention_equals_torch():
    attention, tokens, context = Attention(32, 4), torch.randn(2, 5, 32), torch.randn(2, 7, 32)
    mask = torch.randn(2, 1, 5, 7)
    heads = [
        layer(x).reshape(2, -1, 4, 8).transpose(1, 2)
        for layer, x in ((attention.query, tokens), (attention.key, context), (attention.value, context))
    ]
    mixed = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask)
    expected = attention.output(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(tokens, context, mask), expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_pairing_equals_repeating_questions_and_scenes():
    block, latents = FusionBlock(32, 4, 64).eval(), torch.randn(6, 3, 32)
    question, scene = torch.randn(2, 5, 32), torch.randn(3, 8, 32)
    mask = torch.where(torch.rand(2, 1, 1, 5) < 0.3, -1e4, 0.0)
    pairing = Pairing(torch.arange(2).repeat(3), torch.arange(3).repeat_interleave(2))
    repeated = block(latents, question[pairing.question], mask[pairing.question], scene[pairing.scene])
    torch.testing.assert_close(block(latents, question, mask, scene, pairing), repeated, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_masked_words_have_no_influence():
    block, latents = FusionBlock(32, 4, 64).eval(), torch.randn(1, 3, 32)
    question, scene = torch.randn(1, 5, 32), torch.randn(1, 8, 32)
    mask = torch.tensor([0.0, 0.0, 0.0, -1e4, -1e4])[None, None, None]
    changed = question.clone()
    changed[:, 3:] = 9.0
    torch.testing.assert_close(block(latents, question, mask, scene), block(latents, changed, mask, scene))


@torch.no_grad()
def test_a_resampler_makes_a_fixed_number_of_tokens():
    resampler = Resampler(3, 32, 4, 64)
    torch.nn.init.normal_(resampler.queries)
    assert resampler(torch.randn(2, 11, 32)).shape == (2, 3, 32)


@torch.no_grad()
def test_the_cache_gives_what_running_all_at_once_gives():
    block = DecoderBlock(32, 4, 64).eval()
    tokens, memory = torch.randn(1, 3, 32), torch.randn(1, 6, 32)
    causal = torch.triu(torch.full((3, 3), -1e4), diagonal=1)[None, None]
    empty = torch.zeros(1, 4, 0, 8)
    expected, _ = block(tokens, (empty, empty), causal, memory)

    cache = [torch.zeros(1, 4, 5, 8), torch.zeros(1, 4, 5, 8)]
    mask = torch.full((1, 1, 1, 6), -1e4)
    mask[..., -1] = 0
    for step in range(3):
        row, new = block(tokens[:, step : step + 1], tuple(cache), mask, memory)
        torch.testing.assert_close(row[:, 0], expected[:, step], atol=1e-6, rtol=1e-5)
        for cached, rows in zip(cache, new, strict=True):
            cached[:, :, step] = rows[:, :, 0]
        mask[..., step] = 0
