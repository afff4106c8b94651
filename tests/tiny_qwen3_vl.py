"""Builds a small Qwen3-VL folder with random weights: the unmodified transformers model and a tokenizer trained here.

It has every part of a published folder (config, safetensors, tokenizer, chat template, preprocessor), 200 kB in all:
`build(Path("tiny"), tied=True)`, or `python -m examples.tiny_qwen3_vl tiny`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_CORPUS = [
    "Describe the picture in one sentence. What colour is the largest shape on the shelf?",
    "The milk expires first, on the third of May; the bread is fresh and the apples are red.",
    "How many objects can you see, and where are they? Read the text in this image aloud.",
    "A compiler turns a model into binaries that run on a neural processing unit of a phone.",
    "Grüße aus Köln, naïve café, 你好世界, пример текста, 0123456789, (a + b) * c == d[i];",
]

_TIED = {
    "text": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 16, "mrope_section": [4, 2, 2], "rope_theta": 5000000.0},
    "vision": {"depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
               "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 2]},
}  # fmt: skip

_UNTIED = {
    "text": {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 6,
             "num_key_value_heads": 3, "head_dim": 24, "mrope_section": [6, 3, 3], "rope_theta": 10000.0},
    "vision": {"depth": 2, "hidden_size": 48, "intermediate_size": 56, "num_heads": 3,
               "num_position_embeddings": 36, "deepstack_visual_indexes": [1]},
}  # fmt: skip


def build(folder: Path, tied: bool) -> None:
    """Writes the folder.

    Args:
        folder: Created where it does not exist.
        tied: Whether the LM head shares the embedding's weights; the two models also differ in all dimensions.
    """
    tokenizer = _train_tokenizer()
    torch.manual_seed(1 if tied else 2)
    model = transformers.Qwen3VLForConditionalGeneration(_config(tokenizer, tied)).eval()
    end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = transformers.GenerationConfig(eos_token_id=end, pad_token_id=end[1])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 16, "temporal_patch_size": 2,
        "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 1024, "longest_edge": 16777216},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2))


def _train_tokenizer() -> Any:
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(_CORPUS, trainer)
    roles = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained, chat_template=CHAT_TEMPLATE, **roles
    )


def _config(tokenizer: Any, tied: bool) -> Any:
    sizes = _TIED if tied else _UNTIED
    text = dict(sizes["text"])
    rope = {"rope_type": "default", "rope_theta": text.pop("rope_theta"), "mrope_interleaved": True,
            "mrope_section": text.pop("mrope_section")}  # fmt: skip
    common = {"vocab_size": len(tokenizer), "max_position_embeddings": 1024, "rms_norm_eps": 1e-6,
              "initializer_range": 0.15, "tie_word_embeddings": tied}  # fmt: skip
    vision = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "initializer_range": 0.15}
    token = tokenizer.convert_tokens_to_ids
    return transformers.Qwen3VLConfig(
        text_config={**text, **common, "rope_parameters": rope},
        vision_config={**sizes["vision"], **vision, "out_hidden_size": text["hidden_size"]},
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=tied,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write a small Qwen3-VL folder with random weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--untied", action="store_true", help="give the LM head weights of its own")
    arguments = parser.parse_args()
    build(arguments.folder, tied=not arguments.untied)


if __name__ == "__main__":
    main()
