"""Answers one request with the components of MultiModalTransformer: encoders, fusion, greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from exporter.errors import SourceError
from exporter.families.family import Signatures
from exporter.families.kv_cache import KvCache
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.folder_tokenizer import FolderTokenizer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from program.program import Answer, Array, Executor, Feeds, Request


class MultimodalTransformerRunner:
    """The generation loop; holds no state between requests.

    Args:
        settings: `config` and `preprocessor`, as `config.json` and `preprocessor_config.json` have them.
        assets: `tokenizer.json`.
        signatures: Inputs of the components; what is fed to one is cast to its element types.

    Raises:
        SourceError: Settings or assets are damaged.
    """

    def __init__(
        self, settings: Mapping[str, Any], assets: Mapping[str, bytes], signatures: Signatures
    ) -> None:
        self._config = ModelConfig.from_json(settings["config"])
        self._preprocessor = Preprocessor.from_json(settings["preprocessor"])
        self._tokenizer = FolderTokenizer(assets["tokenizer.json"])
        self._signatures = signatures

    def stream(
        self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int
    ) -> Iterator[str]:
        """Yields the answer digit by digit.

        Raises:
            SourceError: The request lacks a picture, a sound or a question, or one does not fit the model.
        """
        for token in self._tokens(executors, request, max_new_tokens):
            yield str(self._tokenizer.decode([token]))

    def generate(self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int) -> Answer:
        """Runs the request to its end.

        Raises:
            SourceError: As `stream`.
        """
        tokens = tuple(self._tokens(executors, request, max_new_tokens))
        return Answer(str(self._tokenizer.decode(list(tokens))), tokens)

    def _tokens(
        self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int
    ) -> Iterator[int]:
        """Greedy decoding; the end token is not part of the answer."""
        values = self._encode(executors, request)
        cache = KvCache(self._signatures["decode"])
        token = self._config.bos_token_id
        for position in range(min(max_new_tokens, cache.capacity)):
            values |= {
                **cache.arrays,
                "token_id": np.array([[token]], np.int64),
                "position": np.array([position], np.int64),
                "mask": cache.mask(tokens=1, valid=1),
            }
            outputs = self._run(executors, "decode", values)
            cache.append(outputs, rows=1)
            token = int(outputs["logits"].argmax())
            if token == self._config.eos_token_id:
                return
            yield token

    def _encode(self, executors: Mapping[str, Executor], request: Request) -> dict[str, Array]:
        values = self._preprocess(request)
        for component in ("vision_encoder", "audio_encoder", "text_encoder", "fusion"):
            values |= self._run(executors, component, values)
        return values

    def _preprocess(self, request: Request) -> dict[str, Array]:
        if request.image is None or request.audio is None:
            missing = "picture" if request.image is None else "sound"
            raise SourceError(
                f"The request lacks a {missing}.",
                where="request",
                remedy="give this model a picture of a number, a spoken number and a question on them",
            )
        ids, mask = self._preprocessor.question(self._tokenizer, request.prompt)
        return {
            "pixels": self._preprocessor.pixels(request.image)[None],
            "mel": self._preprocessor.spectrogram(request.audio, request.sample_rate)[None],
            "token_ids": ids[None],
            "text_mask": mask[None],
        }

    def _run(self, executors: Mapping[str, Executor], component: str, feeds: Feeds) -> dict[str, Array]:
        specs = self._signatures[component]
        return executors[component](
            {spec.name: feeds[spec.name].astype(spec.numpy_dtype, copy=False) for spec in specs}
        )
