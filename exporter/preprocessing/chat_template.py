"""Chat templates: untrusted Jinja programs that turn messages into a prompt.

A template comes with the weights and may be hostile. It runs in Jinja's immutable sandbox (no attributes that lead to
code, no changes to the arguments), repetition of strings is bounded, and so are its source and its output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from exporter.errors import SourceError
from exporter.model_folder import ModelFolder

MAX_SOURCE = 1 << 18
"""Characters of a template; the longest in use are about 10,000."""
MAX_PROMPT = 1 << 22
"""Characters of a rendered prompt."""
ASSET = "chat_template.jinja"

QWEN_TEMPLATE = """{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'text' -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
"""The form of Qwen's published templates, for folders that have none."""

Message = Mapping[str, Any]


class _BoundedSandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which also refuses what makes a huge text of a small one."""

    intercepted_binops = frozenset(["*", "**", "%"])
    padding_methods = frozenset(["center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"])

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Hides the string methods that pad to any width."""
        return attr not in self.padding_methods and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leaves `str.format` to `is_safe_attribute`; Jinja's own wrapper would allow it."""

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Bounds the operators whose result may be far larger than their operands."""
        if (
            operator == "**"
            or isinstance(left, (str, bytes, list, tuple))
            or isinstance(right, (str, list, tuple))
        ):
            raise jinja2.exceptions.SecurityError(f"operator {operator} is not allowed here")
        return super().call_binop(context, operator, left, right)


class ChatTemplate:
    """A compiled template.

    Args:
        source: Jinja source.

    Raises:
        SourceError: It is too long or not valid Jinja.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise SourceError(
                "the chat template is too long",
                received=f"{len(source)} characters",
                remedy=f"keep to {MAX_SOURCE}",
            )
        environment = _BoundedSandbox(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        for name in ("center", "format"):  # they pad to any width
            del environment.filters[name]
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise _fault("is not valid Jinja", error) from error

    def render(self, messages: Sequence[Message]) -> str:
        """Renders a conversation, ending where the assistant's answer starts.

        Args:
            messages: Each with `role` and `content`, a list of parts with a `type`.

        Raises:
            SourceError: The template fails, tries what the sandbox forbids, or its output is too long.
        """
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(messages=messages, add_generation_prompt=True):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_PROMPT:
                    raise SourceError(
                        "the chat template's output is too long", received=f"over {MAX_PROMPT} characters"
                    )
        except SourceError:
            raise
        except Exception as error:  # a template can raise any exception of the operations in it
            raise _fault("fails", error) from error
        return "".join(pieces)


def user_message(prompt: str, images: int) -> Message:
    """One turn of a user: pictures first, then the text."""
    return {"role": "user", "content": [{"type": "image"}] * images + [{"type": "text", "text": prompt}]}


def read_template(folder: ModelFolder, default: str) -> str:
    """The folder's chat template: of chat_template.jinja, chat_template.json or tokenizer_config.json.

    Args:
        folder: The model folder.
        default: Used where there is none.

    Raises:
        SourceError: A file is damaged.
    """
    if folder.has("chat_template.jinja"):
        return folder.read_bytes("chat_template.jinja", 4 * MAX_SOURCE).decode("utf-8", errors="replace")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if folder.has(name):
            found = _select(folder.read_json(name).get("chat_template"))
            if found is not None:
                return found
    return default


def _select(value: Any) -> str | None:
    """A template, or the one called "default" of a list of named ones."""
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None


def _to_json(value: Any, indent: int | None = None) -> str:
    """JSON without HTML escapes, which Jinja's own filter adds."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _fault(what: str, error: Exception) -> SourceError:
    return SourceError(
        f"the model's chat template {what}",
        received=f"{type(error).__name__}: {str(error)[:200]}",
        remedy="correct or remove the template in the model folder",
    )
