"""Exact match on a set of examples, with and without each input."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from npuc.demo.questions import Kind
from program.program import Request

Answerer = Callable[[Sequence[Request]], list[str]]
"""Answers requests, in order."""

NEUTRAL_QUESTION = "?"


class Ablation(enum.StrEnum):
    """Which input is replaced by a neutral one: a black picture, silence, a bare question mark."""

    NONE = "none"
    IMAGE = "image"
    AUDIO = "audio"
    QUESTION = "question"


@dataclasses.dataclass(frozen=True)
class Score:
    """Share of exactly right answers, over all and by kind of question."""

    exact_match: float
    count: int
    by_kind: Mapping[str, float]


def ablate(request: Request, ablation: Ablation) -> Request:
    """Returns the request with one input made neutral."""
    match ablation:
        case Ablation.IMAGE if request.image is not None:
            return dataclasses.replace(request, image=Image.new("L", request.image.size))
        case Ablation.AUDIO if request.audio is not None:
            return dataclasses.replace(request, audio=np.zeros_like(request.audio))
        case Ablation.QUESTION:
            return dataclasses.replace(request, prompt=NEUTRAL_QUESTION)
        case _:
            return request


def evaluate(
    answer: Answerer, requests: Sequence[Request], kinds: Sequence[Kind], ablation: Ablation = Ablation.NONE
) -> Score:
    """Asks every request and compares with its answer.

    Args:
        answer: The model.
        requests: With `answer` set.
        kinds: What each request asks for.
        ablation: The input to leave out.
    """
    replies = answer([ablate(request, ablation) for request in requests])
    right = [reply == request.answer for reply, request in zip(replies, requests, strict=True)]
    by_kind = {
        str(kind): _share(hit for hit, asked in zip(right, kinds, strict=True) if asked == kind)
        for kind in Kind
    }
    return Score(_share(right), len(right), by_kind)


def _share(hits: Iterable[bool]) -> float:
    values = list(hits)
    return round(sum(values) / len(values), 4) if values else 0.0
