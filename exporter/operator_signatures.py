"""Lets onnxscript parse the signatures of torch's operators once.

torch's exporter builds a table of about 500 operators for every export, and onnxscript parses the Python source of each
for it: a quarter of the time it takes to capture the bundled model.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from onnxscript.values import TracedOnnxFunction

_PARSED_EACH_TIME = TracedOnnxFunction.function_ir
_PARSED_ONCE = property(functools.cache(_PARSED_EACH_TIME.fget))


@contextlib.contextmanager
def parsed_once() -> Iterator[None]:
    """Signatures are remembered in here, and from one use to the next; outside onnxscript works as ever."""
    TracedOnnxFunction.function_ir = _PARSED_ONCE
    try:
        yield
    finally:
        TracedOnnxFunction.function_ir = _PARSED_EACH_TIME
