"""The generation loop of Qwen3-VL over component executors: greedy, one picture at most, chunked prefill."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from exporter.errors import RequestError
from exporter.families.family import Signatures
from exporter.families.kv_cache import KvCache
from exporter.families.qwen3_vl.positions import Int64, token_positions
from exporter.preprocessing.chat_template import ASSET as TEMPLATE_ASSET
from exporter.preprocessing.chat_template import ChatTemplate, user_message
from exporter.preprocessing.image import PatchLayout, patches
from exporter.preprocessing.text import TextTokenizer
from program.program import Answer, Array, Executor, Request, TensorSpec

Executors = Mapping[str, Executor]


@dataclasses.dataclass(frozen=True)
class _Sequence:
    """What the decoder reads: one row for each prompt token.

    Attributes:
        embeddings: [tokens, hidden].
        positions: [3, tokens].
        next_position: Of the first generated token.
        deepstack: For each feature [tokens, hidden], zero on text.
    """

    embeddings: Array
    positions: Int64
    next_position: int
    deepstack: tuple[Array, ...]


class Qwen3VLRunner:
    """Runs requests.

    Args:
        settings: Made by the adapter: token ids, patch layout, number of deepstack features.
        assets: `tokenizer.json` and the chat template.
        signatures: Inputs of the components `vision_encoder`, `embedding`, `prefill` and `decode`.
    """

    def __init__(
        self, settings: Mapping[str, Any], assets: Mapping[str, bytes], signatures: Signatures
    ) -> None:
        self._signatures = {name: {spec.name: spec for spec in specs} for name, specs in signatures.items()}
        self._tokenizer = TextTokenizer(assets["tokenizer.json"])
        self._template = ChatTemplate(assets[TEMPLATE_ASSET].decode())
        self._layout = PatchLayout.from_settings(settings["image"])
        self._image_token = int(settings["image_token_id"])
        self._end_tokens = frozenset(settings["eos_token_ids"])
        self._deepstack = int(settings["deepstack"])

    def stream(self, executors: Executors, request: Request, max_new_tokens: int) -> Iterator[str]:
        """Yields the answer piece by piece.

        Raises:
            RequestError: The request does not fit the program.
        """
        return self._tokenizer.stream(self.tokens(executors, request, max_new_tokens))

    def generate(self, executors: Executors, request: Request, max_new_tokens: int) -> Answer:
        """Runs the request to its end.

        Returns:
            The answer; `tokens` are without the end token.

        Raises:
            RequestError: The request does not fit the program.
        """
        tokens = tuple(self.tokens(executors, request, max_new_tokens))
        return Answer(self._tokenizer.decode(tokens), tokens)

    def tokens(self, executors: Executors, request: Request, max_new_tokens: int) -> Iterator[int]:
        """Generates token ids greedily, until an end token or the limit.

        Raises:
            RequestError: Prompt and answer do not fit into the cache, or the prompt has image tokens of its own.
        """
        ids = self.encode(request)
        cache = KvCache(self._signatures["decode"].values())
        self._check_length(len(ids), max_new_tokens, cache.capacity)
        sequence = self._prepare(executors, request, ids)
        token = self._prefill(executors, sequence, cache)
        for step in range(max_new_tokens):
            if token in self._end_tokens:
                return
            yield token
            if step + 1 < max_new_tokens:
                token = self._decode(executors, token, sequence.next_position + step, cache)

    def encode(self, request: Request) -> Int64:
        """Token ids of the prompt in the chat form, with one token for each part of the picture.

        Raises:
            RequestError: The text itself contains image tokens.
        """
        images = int(request.image is not None)
        text = self._template.render([user_message(request.prompt, images)])
        ids = self._tokenizer.encode(text)
        if ids.count(self._image_token) != images:
            raise RequestError(
                "the prompt and its picture do not go together",
                received=f"{ids.count(self._image_token)} image tokens in the text for {images} pictures",
                remedy="write no special tokens into the prompt",
            )
        rows, columns = self._layout.token_grid
        expanded = [[token] * (rows * columns if token == self._image_token else 1) for token in ids]
        return np.array([token for run in expanded for token in run], np.int64)

    def _check_length(self, prompt: int, answer: int, capacity: int) -> None:
        if answer < 1:
            raise RequestError("at least one token must be asked for", received=str(answer))
        if prompt + answer > capacity:
            raise RequestError(
                "prompt and answer do not fit into the KV cache",
                received=f"{prompt} prompt tokens + {answer} new ones, the cache holds {capacity}",
                remedy="shorten the prompt, ask for fewer tokens, or compile with a longer cache",
            )

    def _prepare(self, executors: Executors, request: Request, ids: Int64) -> _Sequence:
        embeddings = self._embed(executors, ids)
        is_image = ids == self._image_token
        deepstack = tuple(np.zeros_like(embeddings) for _ in range(self._deepstack))
        if request.image is not None:
            feeds = {"patches": patches(request.image, self._layout)[None]}
            features = self._run(executors, "vision_encoder", feeds)
            embeddings[is_image] = features["image_embeddings"][0]
            for index, dense in enumerate(deepstack):
                dense[is_image] = features[f"deepstack_{index}"][0]
        positions, next_position = token_positions(is_image, self._layout.token_grid)
        return _Sequence(embeddings, positions, next_position, deepstack)

    def _embed(self, executors: Executors, ids: Int64) -> Array:
        width = self._input("embedding", "input_ids").shape[1]
        rows = []
        for start in range(0, len(ids), width):
            chunk = ids[start : start + width]
            output = self._run(executors, "embedding", {"input_ids": _pad(chunk, width)[None]})
            rows.append(output["embeddings"][0, : len(chunk)].astype(np.float32))
        return np.concatenate(rows)

    def _prefill(self, executors: Executors, sequence: _Sequence, cache: KvCache) -> int:
        width = self._input("prefill", "inputs_embeds").shape[1]
        total = len(sequence.embeddings)
        logits = np.zeros((1, 1), np.float32)
        for start in range(0, total, width):
            valid = min(width, total - start)
            rows = slice(start, start + valid)
            feeds = {
                "inputs_embeds": _pad(sequence.embeddings[rows], width)[None],
                "mask": cache.mask(width, valid),
                "position_ids": _pad(sequence.positions[:, rows].T, width).T[:, None],
                "logit_index": np.array([valid - 1]),
            }
            for index, dense in enumerate(sequence.deepstack):
                feeds[f"deepstack_{index}"] = _pad(dense[rows], width)[None]
            outputs = self._run(executors, "prefill", {**feeds, **cache.arrays})
            cache.append(outputs, valid)
            logits = outputs["logits"]
        return int(np.argmax(logits[0].astype(np.float32)))

    def _decode(self, executors: Executors, token: int, position: int, cache: KvCache) -> int:
        feeds = {
            "inputs_embeds": self._embed(executors, np.array([token]))[None],
            "mask": cache.mask(1, 1),
            "position_ids": np.full((3, 1, 1), position, np.int64),
        }
        outputs = self._run(executors, "decode", {**feeds, **cache.arrays})
        cache.append(outputs, 1)
        return int(np.argmax(outputs["logits"][0].astype(np.float32)))

    def _input(self, component: str, name: str) -> TensorSpec:
        return self._signatures[component][name]

    def _run(self, executors: Executors, component: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Casts the feeds to what the component takes, and leaves out what it does not take."""
        specs = self._signatures[component]
        return executors[component](
            {
                name: array.astype(specs[name].numpy_dtype, copy=False)
                for name, array in feeds.items()
                if name in specs
            }
        )


def _pad(rows: Array, width: int) -> Array:
    """Repeats the last row up to a static width: a row of zeros is 0 / 0 to a normalisation in integers."""
    return np.pad(rows, [(0, width - len(rows)), *[(0, 0)] * (rows.ndim - 1)], mode="edge")
