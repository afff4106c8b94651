"""Chat templates: untrusted Jinja programs that turn messages into a prompt.

A template comes with the weights and may be hostile. It runs in a child process with limits on memory and time, and
there in Jinja's sandbox; its source and its output are limited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import SandboxProcess

MAX_SOURCE = 1 << 18
"""Characters of a template; the longest in use are about 10,000."""
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

_CALLS = "exporter.preprocessing.template_calls"
_LIMITS = Limits(memory=256 << 20, seconds=5, wall_seconds=60.0)


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
        self._source = source.encode("utf-8", "replace")
        self._process = SandboxProcess(_LIMITS, what="the chat template's work", where="the chat template")
        self._process.call(f"{_CALLS}:check", self._source)

    def render(self, messages: Sequence[Message]) -> str:
        """Renders a conversation, ending where the assistant's answer starts.

        Args:
            messages: Each with `role` and `content`, a list of parts with a `type`.

        Raises:
            SourceError: The template fails, tries what the sandbox forbids, takes too long or too much memory, or its
                output is too long.
        """
        plain = [dict(message) for message in messages]
        prompt: bytes = self._process.call(f"{_CALLS}:render", self._source, messages=plain)
        return prompt.decode()


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
