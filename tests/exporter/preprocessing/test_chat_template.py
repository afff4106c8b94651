"""Chat templates: equal to transformers on honest ones, harmless on hostile ones."""

import json

import pytest
import transformers

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.preprocessing.chat_template import (
    MAX_SOURCE,
    QWEN_TEMPLATE,
    ChatTemplate,
    read_template,
    user_message,
)

MESSAGES = [user_message("What expires first?", 1)]
EXPECTED = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What expires first?<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def test_the_qwen_form():
    assert ChatTemplate(QWEN_TEMPLATE).render(MESSAGES) == EXPECTED


def test_equals_transformers(tiny_qwen_folder):
    reference = transformers.AutoTokenizer.from_pretrained(tiny_qwen_folder)
    expected = reference.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    folder = ModelFolder(tiny_qwen_folder)
    assert ChatTemplate(read_template(folder, "unused")).render(MESSAGES) == expected == EXPECTED


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.__class__.__base__ }}{{ messages.append(1) }}",
        "{% for m in messages %}{{ m.__init__.__globals__ }}{% endfor %}",
        "{{ self._TemplateReference__context }}{{ lipsum.__globals__['os'] }}",
        "{{ 'a' * 10000000000 }}",
        "{{ [0] * 10000000000 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ 'a'.center(10000000000) }}",
        "{{ 'a' | center(10000000000) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{% for i in range(10000000000) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('only text is supported') }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_hostile_templates_end_in_a_sentence(template):
    with pytest.raises(SourceError, match="chat template") as caught:
        ChatTemplate(template).render(MESSAGES)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("template", ["{% for %}", "{{ x", "x" * (MAX_SOURCE + 1)])
def test_invalid_templates(template):
    with pytest.raises(SourceError, match="chat template"):
        ChatTemplate(template)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("chat_template.jinja", "a", "a"),
        ("chat_template.json", json.dumps({"chat_template": "b"}), "b"),
        ("tokenizer_config.json", json.dumps({"chat_template": "c"}), "c"),
        ("tokenizer_config.json", json.dumps({"chat_template": [{"name": "default", "template": "d"}]}), "d"),
        (
            "tokenizer_config.json",
            json.dumps({"chat_template": [{"name": "tool", "template": "e"}]}),
            "fallback",
        ),
        ("tokenizer_config.json", json.dumps({"chat_template": 3}), "fallback"),
    ],
)
def test_where_a_template_is_found(tmp_path, file, content, expected):
    (tmp_path / file).write_text(content)
    assert read_template(ModelFolder(tmp_path), "fallback") == expected
