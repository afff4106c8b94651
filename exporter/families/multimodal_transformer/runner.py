"""Answers one request with the components of MultiModalTransformer: encoders, fusion, greedy decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from exporter.errors import SourceError
from exporter.families.family import Signatures
from exporter.program import Answer, Array, Executor, Feeds, Request
from exporter.reference_model.config import ModelConfig
from exporter.reference_model.preprocessor import MASKED, Preprocessor


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
        self._tokenizer = load_tokenizer(assets["tokenizer.json"])
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
        step = _Step(self._config, self._encode(executors, request))
        token = self._config.bos_token_id
        for position in range(min(max_new_tokens, self._config.cache_length)):
            outputs = self._run(executors, "decode", step.feeds(token, position))
            step.store(outputs, position)
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


def load_tokenizer(data: bytes) -> Tokenizer:
    """Parses tokenizer.json.

    Raises:
        SourceError: It is damaged.
    """
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises bare Exception for every fault
        raise SourceError(
            "The tokenizer cannot be read.", where="tokenizer.json", received=str(error)[:200]
        ) from error


@dataclasses.dataclass
class _Step:
    """Inputs of the decoder, with the key-value cache that is written in place.

    Attributes:
        config: Dimensions.
        encoded: Holds `memory` and `text_mask`.
    """

    config: ModelConfig
    encoded: Mapping[str, Array]

    def __post_init__(self) -> None:
        config = self.config
        shape = (1, config.heads, config.cache_length, config.head_dim)
        layers = range(config.decoder_layers)
        self._cache: dict[str, npt.NDArray[np.float32]] = {
            f"past_{kind}_{layer}": np.zeros(shape, np.float32)
            for layer in layers
            for kind in ("key", "value")
        }
        self._mask = np.full((1, 1, 1, config.cache_length + 1), MASKED, np.float32)
        self._mask[..., -1] = 0.0

    def feeds(self, token: int, position: int) -> dict[str, Array]:
        """Returns the decoder's inputs for a token at a position of the answer."""
        return {
            **self.encoded,
            **self._cache,
            "token_id": np.array([[token]], np.int64),
            "position": np.array([position], np.int64),
            "mask": self._mask,
        }

    def store(self, outputs: Mapping[str, Array], position: int) -> None:
        """Writes the new rows into the cache and lets the next step see them."""
        for name, rows in self._cache.items():
            rows[:, :, position] = outputs[name.replace("past_", "new_")][:, :, 0]
        self._mask[..., position] = 0.0
