import json
import shutil

import pytest
import transformers

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.preprocessing import text as text_module
from exporter.preprocessing.text import TextTokenizer, read_tokenizer

TEXTS = [
    "Describe the picture, please: 你好 € 🙂",
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>It's 12345 o'clock!<|im_end|>\n",
    "  spaces\t\r\n\n  and é (decomposed: e\u0301)",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_equals_transformers(tiny_qwen_folder, text):
    reference = transformers.AutoTokenizer.from_pretrained(tiny_qwen_folder)
    ours = TextTokenizer(read_tokenizer(ModelFolder(tiny_qwen_folder)))
    ids = reference(text)["input_ids"]
    assert ours.encode(text) == ids
    assert ours.decode(ids) == reference.decode(ids, skip_special_tokens=True)
    assert ours.vocabulary_size == len(reference)


def test_pieces_add_up_and_hold_back_broken_characters(tiny_qwen_folder):
    tokenizer = TextTokenizer(read_tokenizer(ModelFolder(tiny_qwen_folder)))
    ids = tokenizer.encode("naïve 🙂 café")
    pieces = list(tokenizer.stream(ids))
    assert "".join(pieces) == "naïve 🙂 café"
    assert len(pieces) > 5
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


def test_an_incomplete_character_at_the_end_is_not_lost(tiny_qwen_folder):
    tokenizer = TextTokenizer(read_tokenizer(ModelFolder(tiny_qwen_folder)))
    ids = tokenizer.encode("🙂")[:-1]
    assert "".join(tokenizer.stream(ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("text", TEXTS)
def test_vocabulary_and_merges_equal_transformers_qwen2(tiny_qwen_folder, tmp_path, text):
    """A folder of the older form, against transformers' own conversion of it."""
    content = json.loads((tiny_qwen_folder / "tokenizer.json").read_text())
    specials = {token["content"] for token in content["added_tokens"]}
    symbols = [symbol for symbol in content["model"]["vocab"] if symbol not in specials]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    merges = [" ".join(pair) for pair in content["model"]["merges"]]
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    added = {
        str(len(vocabulary) + index): {"content": token, "special": True, "normalized": False}
        for index, token in enumerate(sorted(specials))
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    ours = TextTokenizer(read_tokenizer(ModelFolder(tmp_path)))
    reference = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges]
    )
    reference.add_tokens(
        [transformers.AddedToken(token, special=True, normalized=False) for token in sorted(specials)]
    )
    assert [ours.decode([token]) for token in ours.encode(text)] == [
        reference.decode([token], skip_special_tokens=True) for token in reference(text)["input_ids"]
    ]


def test_damaged_tokenizers(tiny_qwen_folder, tmp_path):
    with pytest.raises(SourceError, match="no tokenizer"):
        read_tokenizer(ModelFolder(tmp_path))
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("x y\n")
    with pytest.raises(SourceError, match="do not make a tokenizer"):
        read_tokenizer(ModelFolder(tmp_path))
    shutil.copy(tiny_qwen_folder / "config.json", tmp_path / "tokenizer.json")
    with pytest.raises(SourceError, match="cannot be read"):
        TextTokenizer(read_tokenizer(ModelFolder(tmp_path)))


def changed(folder, **parts):
    content = json.loads((folder / "tokenizer.json").read_text())
    return json.dumps(content | parts).encode()


def test_a_tokenizer_that_backtracks_ends_after_its_time(tiny_qwen_folder, monkeypatch):
    monkeypatch.setattr(text_module, "_SECONDS", 1)
    split = {"type": "Split", "pattern": {"Regex": "(a|b|ab)*(?=c)"}, "behavior": "Isolated", "invert": False}
    tokenizer = TextTokenizer(changed(tiny_qwen_folder, pre_tokenizer=split))
    with pytest.raises(SourceError, match="tokenizer's work"):
        tokenizer.encode("ab" * 1_000_000)


def test_a_tokenizer_that_multiplies_its_text_ends_in_a_sentence(tiny_qwen_folder):
    step = {"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 64}
    normalizer = {"type": "Sequence", "normalizers": [step] * 8}
    tokenizer = TextTokenizer(changed(tiny_qwen_folder, normalizer=normalizer))
    with pytest.raises(SourceError, match="tokenizer"):
        tokenizer.encode("a few words")
