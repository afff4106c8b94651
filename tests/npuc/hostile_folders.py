"""Model folders that somebody made to break a reader: each kind changes one thing of an honest folder."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

WEIGHTS = "model.safetensors"


def config(path, value, file="config.json"):
    """Sets one field, by its path such as `text_config.hidden_size`."""

    def change(folder):
        document = json.loads((folder / file).read_text())
        inner, *names = document, *path.split(".")
        for name in names[:-1]:
            inner = inner[name]
        inner[names[-1]] = value
        (folder / file).write_text(json.dumps(document))

    return change


def text(file, content):
    """Replaces a file."""

    def change(folder):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / file).write_bytes(data)

    return change


def inserted(file, name, raw):
    """Adds a field whose value is written as it is, which no serializer would do."""

    def change(folder):
        (folder / file).write_text(f'{{"{name}": {raw}, ' + (folder / file).read_text().strip()[1:])

    return change


def instead(file, make):
    """Puts something that is no file in a file's place."""

    def change(folder):
        (folder / file).unlink()
        make(folder / file)

    return change


def header(edit):
    """Rewrites the header of the weights; `edit` gets the entries, and may return bytes instead."""

    def change(folder):
        data = (folder / WEIGHTS).read_bytes()
        length = int.from_bytes(data[:8], "little")
        entries = json.loads(data[8 : 8 + length])
        made = edit(entries)
        encoded = made if isinstance(made, bytes) else json.dumps(entries).encode()
        (folder / WEIGHTS).write_bytes(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])

    return change


def first(entries):
    return next(entry for name, entry in entries.items() if name != "__metadata__")


def dimensions(count, size):
    return header(lambda entries: first(entries).update(shape=[size] * count))


def index(weight_map):
    """A folder of shards."""

    def change(folder):
        (folder / WEIGHTS).rename(folder / "part.safetensors")
        content = (
            weight_map if isinstance(weight_map, bytes) else json.dumps({"weight_map": weight_map}).encode()
        )
        (folder / f"{WEIGHTS}.index.json").write_bytes(content)

    return change


def tokenizer(**parts):
    """Changes parts of tokenizer.json."""

    def change(folder):
        document = json.loads((folder / "tokenizer.json").read_text())
        document.update(parts)
        (folder / "tokenizer.json").write_text(json.dumps(document))

    return change


def multiplying(times, factor):
    step = {"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * factor}
    return tokenizer(normalizer={"type": "Sequence", "normalizers": [step] * times})


def wide_vocabulary(folder):
    document = json.loads((folder / "tokenizer.json").read_text())
    document["added_tokens"][-1]["id"] = 1 << 31
    document["model"]["vocab"]["zzz"] = (1 << 32) - 1
    (folder / "tokenizer.json").write_text(json.dumps(document))


def template(source):
    return text("chat_template.jinja", source)


def stretched(folder):
    """Weights that promise more than there is."""
    os.truncate(folder / WEIGHTS, 100)


def nested(folder):
    (folder / "config.json").write_text(
        '{"model_type": "qwen3_vl", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    )


def linked(target):
    return lambda path: path.symlink_to(target)


FILES = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS)
OTHER_FILES = ("chat_template.jinja", "tokenizer_config.json")

FOLDERS = {
    **{f"a pipe as {file}": instead(file, os.mkfifo) for file in (*FILES, *OTHER_FILES)},
    **{f"a folder as {file}": instead(file, Path.mkdir) for file in FILES},
    **{f"a device as {file}": instead(file, linked("/dev/zero")) for file in ("config.json", WEIGHTS)},
    "a link out of the folder": instead("tokenizer.json", linked("/etc/passwd")),
    "a link to nothing": instead("generation_config.json", linked("absent")),
    "a link to itself": instead("config.json", linked("config.json")),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "an empty config": text("config.json", ""),
    "a config that is no text": text("config.json", b"\xff\xfe\x00{"),
    "a list as config": text("config.json", "[]"),
    "a deep config": nested,
    "a wide config": text("config.json", '{"model_type": "qwen3_vl", "a": [' + "[]," * 5_000_000 + "[]]}"),
    "a config above the limit": text("config.json", '{"a": "' + "x" * (17 << 20) + '"}'),
    "a config with one name twice": inserted("config.json", "model_type", '"qwen3_vl"'),
    "a surrogate in the config": inserted("config.json", "name", '"\\ud800"'),
    "a surrogate as a key": inserted("generation_config.json", "\\udfff", "1"),
    "a number of 5000 digits": inserted("config.json", "n", "9" * 5000),
    "a number of 310 digits": inserted("preprocessor_config.json", "n", "9" * 310),
    "an infinite number": inserted("config.json", "n", "1e999"),
    "NaN": inserted("config.json", "n", "NaN"),
    "a list as model_type": config("model_type", ["qwen3_vl"]),
    "an unknown model_type": config("model_type", "\x1b[2J" * 100),
    "text_config as text": config("text_config", "text"),
    "no layers": config("text_config.num_hidden_layers", 0),
    "a negative width": config("text_config.hidden_size", -64),
    "a thousand layers": config("text_config.num_hidden_layers", 1024),
    "a thousand blocks": config("vision_config.depth", 1024),
    "a gigantic width": config("text_config.intermediate_size", 1 << 20),
    "an overflowing width": config("text_config.hidden_size", 1 << 100),
    "a gigantic vocabulary": config("text_config.vocab_size", 1 << 24),
    "half a layer": config("text_config.num_hidden_layers", 2.5),
    "text for a width": config("text_config.hidden_size", "64"),
    "true heads": config("text_config.num_attention_heads", True),
    "an absurd rope": config("text_config.rope_parameters.rope_theta", 1e308),
    "a rope of text": config("text_config.rope_parameters", "default"),
    "a rope section of a million": config("text_config.rope_parameters.mrope_section", [1] * 1_000_000),
    "an epsilon of zero": config("text_config.rms_norm_eps", 0),
    "a patch of one gigapixel": config("vision_config.patch_size", 1 << 15),
    "positions beyond the table": config("vision_config.num_position_embeddings", 1 << 20),
    "features beyond the blocks": config("vision_config.deepstack_visual_indexes", [0, 1 << 40]),
    "an end token of text": config("eos_token_id", "x", "generation_config.json"),
    "a negative end token": config("eos_token_id", [-1], "generation_config.json"),
    "a deviation of zero": config("image_std", [0, 0, 0], "preprocessor_config.json"),
    "a mean beyond float32": config("image_mean", [1e300, 0, 0], "preprocessor_config.json"),
    "a mean of one number": config("image_mean", 0.5, "preprocessor_config.json"),
    "a million dimensions": dimensions(1_000_000, 1 << 61),
    "a million dimensions of one": dimensions(1_000_000, 1),
    "dimensions that overflow": dimensions(4, 1 << 61),
    "overlapping tensors": header(lambda entries: first(entries).update(data_offsets=[64, 196])),
    "offsets before the data": header(lambda entries: first(entries).update(data_offsets=[-8, 8])),
    "an unknown element type": header(lambda entries: first(entries).update(dtype="F31")),
    "a tensor that is a list": header(lambda entries: entries.update(extra=[])),
    "a header of lists": header(lambda _: b"[" + b"[]," * 5_000_000 + b"[]]"),
    "a deep header": header(lambda _: b'{"a":' * 100_000),
    "a header that is no text": header(lambda _: b"\xff" * 64),
    "a header beyond the file": text(WEIGHTS, struct.pack("<Q", 1 << 40) + b"{}"),
    "a header of minus one": text(WEIGHTS, b"\xff" * 8 + b"{}"),
    "empty weights": text(WEIGHTS, b""),
    "weights that are cut off": stretched,
    "a pickle": lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"),
    "an index out of the folder": index({"a": "../part.safetensors"}),
    "an absolute index": index({"a": "/etc/passwd"}),
    "an index of pipes": lambda folder: (index({"a": "pipe"})(folder), os.mkfifo(folder / "pipe")),
    "an index of numbers": index({"a": 1}),
    "an index of one shard twice": index({"absent": "part.safetensors"}),
    "an index that is a list": index(b'{"weight_map": []}'),
    "an index of absent shards": index({f"t{number}": f"s{number}" for number in range(5000)}),
    "a tokenizer that is no JSON": text("tokenizer.json", "{"),
    "a tokenizer of lists": text("tokenizer.json", "[" * 1_000_000),
    "a tokenizer that multiplies its text": multiplying(12, 16),
    "a tokenizer that multiplies it a little": multiplying(5, 16),
    "a tokenizer that prepends for ever": tokenizer(
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "a" * (1 << 20)}] * 512}
    ),
    "a tokenizer with an unknown model": tokenizer(model={"type": "Evil"}),
    "a tokenizer of another model": wide_vocabulary,
    "a tokenizer without a model": tokenizer(model=None),
    "a template that is no Jinja": template("{% for %}"),
    "a template above the limit": template("x" * (1 << 20)),
    "a template that loops": template(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "a template that writes for ever": template(
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ messages }}{% endfor %}{% endfor %}"
    ),
    "a template with a range of a billion": template("{% for a in range(10**9) %}a{% endfor %}"),
    "a template that repeats": template("{{ 'a' * 1000000000 }}"),
    "a template that doubles": template(
        "{% set n = namespace(s='aaaaaaaa') %}{% for a in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
    ),
    "a template that replaces": template(
        "{% set n = namespace(s='aaaaaaaa') %}"
        "{% for a in range(40) %}{% set n.s = n.s.replace('a', 'aaaaaaaa') %}{% endfor %}"
    ),
    "a template that joins": template("{{ (range(99999) | list | join('x' ~ ('y' | indent(99999, true)))) | length }}"),
    "a template that recurses": template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
    "a template of brackets": template("{{ " + "(" * 100_000 + ")" * 100_000 + " }}"),
    "a template that looks around": template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "a template that includes": template("{% include '/etc/passwd' %}"),
    "a template of digits": template("{{ 10 ** 10 ** 10 }}"),
    "a template with half a pair": text("chat_template.jinja", b"{{ '\xed\xa0\x80' }}{{ 1 / 0 }}"),
    "a template in JSON of a surrogate": lambda folder: (
        (folder / "chat_template.jinja").unlink(),
        (folder / "chat_template.json").write_text('{"chat_template": "\\ud800"}'),
    ),
    "calibration that is a pipe": lambda folder: os.mkfifo(folder / "calibration.json"),
}  # fmt: skip
"""Name of a kind → what makes it of an honest folder."""
