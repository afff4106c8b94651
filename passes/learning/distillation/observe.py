"""Hidden states and attention maps of a network's layers, taken while it runs."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_BLANK: contextvars.ContextVar[bool] = contextvars.ContextVar("blank", default=False)
_SOFTMAX = (torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax)


class Observation(TorchFunctionMode):
    """What the layers computed.

    Attention maps are the results of softmax inside a layer, in the order of their computation.

    Attributes:
        hidden: Path of a layer's module → its output, [batch, n, width].
        attention: Path → maps [batch, heads, n, m].
        blank: Path → output of a layer that ran on nothing, see `blank_run`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, torch.Tensor] = {}
        self.attention: dict[str, list[torch.Tensor]] = {}
        self.blank: dict[str, torch.Tensor] = {}
        self._layer: str | None = None

    def enter(self, path: str) -> None:
        """Notes that a layer begins."""
        if _BLANK.get():
            return
        self._layer = path
        self.attention[path] = []

    def leave(self, path: str, output: Any) -> None:
        """Notes what a layer returned: its hidden states, or a tuple that begins with them."""
        self._layer = None
        values = output[0] if isinstance(output, tuple) else output
        (self.blank if _BLANK.get() else self.hidden)[path] = values

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs every torch function; keeps the results of softmax."""
        result = function(*args, **(kwargs or {}))
        if self._layer is not None and function in _SOFTMAX:
            self.attention[self._layer].append(result)
        return result


@contextlib.contextmanager
def blank_run() -> Iterator[None]:
    """Marks layers that run in this block as having no input: their outputs count for no loss."""
    token = _BLANK.set(True)
    try:
        yield
    finally:
        _BLANK.reset(token)


@contextlib.contextmanager
def observing(network: nn.Module, paths: Sequence[str], attention: bool) -> Iterator[Observation]:
    """Observes layers while the block runs the network once.

    Args:
        network: Whose layers.
        paths: Of the layers' modules.
        attention: Whether to keep attention maps too.
    """
    seen = Observation()
    handles = []
    for path in paths:
        layer = network.get_submodule(path)
        handles.append(layer.register_forward_pre_hook(lambda _module, _args, path=path: seen.enter(path)))
        handles.append(
            layer.register_forward_hook(lambda _module, _args, output, path=path: seen.leave(path, output))
        )
    try:
        with seen if attention else contextlib.nullcontext():
            yield seen
    finally:
        for handle in handles:
            handle.remove()
