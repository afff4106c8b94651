"""Runs a program of one component on the tensors of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exporter.errors import RequestError
from exporter.families.family import Signatures
from program.program import Answer, Array, Executor, Request

COMPONENT = "model"
"""Name of the only component."""


class GenericRunner:
    """Feeds `Request.tensors` as they are.

    Args:
        signatures: Inputs of the component.
    """

    def __init__(self, signatures: Signatures) -> None:
        self._inputs = signatures[COMPONENT]

    def stream(
        self,
        executors: Mapping[str, Executor],
        request: Request,
        max_new_tokens: int,
    ) -> Iterator[str]:
        """Yields nothing but the (empty) text of `generate`: the answer is in its tensors.

        Raises:
            RequestError: An input is missing or has another shape.
        """
        yield self.generate(executors, request, max_new_tokens).text

    def generate(
        self,
        executors: Mapping[str, Executor],
        request: Request,
        max_new_tokens: int,  # noqa: ARG002 (protocol)
    ) -> Answer:
        """Runs the component once.

        Raises:
            RequestError: An input is missing or has another shape.
        """
        return Answer("", (), executors[COMPONENT](self._feeds(request)))

    def _feeds(self, request: Request) -> dict[str, Array]:
        feeds: dict[str, Array] = {}
        for spec in self._inputs:
            array = request.tensors.get(spec.name)
            if array is None or array.shape != spec.shape:
                raise RequestError(
                    "an input of the model is missing" if array is None else "an input has another shape",
                    where=spec.name,
                    received=_names(request) if array is None else str(list(array.shape)),
                    remedy=f"give {spec.name} as {spec.dtype.name.lower()} {list(spec.shape)}: "
                    f"--input {spec.name}=FILE.npy",
                )
            feeds[spec.name] = array.astype(spec.numpy_dtype, copy=False)
        return feeds


def _names(request: Request) -> str:
    """What was given instead, in words."""
    given = [*request.tensors, *(["a prompt"] if request.prompt else [])]
    return ", ".join(given) or "nothing"
