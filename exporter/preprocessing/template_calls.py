"""What runs in the child process of a chat template; `chat_template.ChatTemplate` is its other side.

A template runs in Jinja's immutable sandbox: no attributes that lead to code, no changes to the arguments. Repetition
of strings is bounded, and so is the output; memory and time are the process's limits.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from exporter.errors import SourceError

MAX_PROMPT = 1 << 22
"""Characters of a rendered prompt."""


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


@functools.lru_cache(maxsize=1)
def _compile(source: bytes) -> jinja2.Template:
    environment = _BoundedSandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    for name in ("center", "format"):  # they pad to any width
        del environment.filters[name]
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    try:
        return environment.from_string(source.decode())
    except (jinja2.TemplateError, RecursionError, SyntaxError, ValueError) as error:
        raise _fault("is not valid Jinja", error) from error


def check(source: bytes) -> None:
    """Compiles a template and keeps it.

    Raises:
        SourceError: It is not valid Jinja.
    """
    _compile(source)


def render(source: bytes, messages: list[dict[str, Any]]) -> bytes:
    """Renders a conversation, ending where the assistant's answer starts.

    Args:
        source: Of the template, UTF-8.
        messages: Each with `role` and `content`, a list of parts with a `type`.

    Raises:
        SourceError: The template fails, tries what the sandbox forbids, or its output is too long.
    """
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compile(source).generate(messages=messages, add_generation_prompt=True):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_PROMPT:
                raise SourceError(
                    "the chat template's output is too long", received=f"over {MAX_PROMPT} characters"
                )
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # a template can raise any exception of the operations in it
        raise _fault("fails", error) from error
    return "".join(pieces).encode("utf-8", "replace")


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
