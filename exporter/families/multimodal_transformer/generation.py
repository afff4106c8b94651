"""Greedy answers of the torch model, many requests at a time: for training reports and as the tests' reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.word_tokenizer import WordTokenizer
from program.program import Request


class TorchAnswerer:
    """Answers requests with the torch model.

    Args:
        model: In evaluation mode.
        preprocessor: As in training.
        tokenizer: As in training.
    """

    def __init__(
        self, model: MultiModalTransformer, preprocessor: Preprocessor, tokenizer: WordTokenizer
    ) -> None:
        self._model = model
        self._preprocessor = preprocessor
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(self, requests: Sequence[Request]) -> list[str]:
        """Returns the decoded answers, in order."""
        memory = self._encode(requests)
        config = self._model.config
        tokens = torch.full((len(requests), 1), config.bos_token_id)
        for _ in range(config.cache_length):
            logits = self._model.decode_all(tokens, memory)
            tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], dim=1)
        return [self._decode(row[1:]) for row in tokens.tolist()]

    def _encode(self, requests: Sequence[Request]) -> Tensor:
        prepare = self._preprocessor
        pictures = [prepare.pixels(request.image) for request in requests if request.image is not None]
        sounds = [
            prepare.spectrogram(request.audio, request.sample_rate)
            for request in requests
            if request.audio is not None
        ]
        questions = [prepare.question(self._tokenizer, request.prompt) for request in requests]
        text_ids = torch.from_numpy(np.stack([ids for ids, _ in questions]))
        text_mask = torch.from_numpy(np.stack([mask for _, mask in questions]))
        vision = self._model.vision_encoder(torch.from_numpy(np.stack(pictures)))
        audio = self._model.audio_encoder(torch.from_numpy(np.stack(sounds)))
        text = self._model.text_encoder(text_ids, text_mask)
        return self._model.fusion(vision, audio, text, text_mask)  # type: ignore[no-any-return]

    def _decode(self, tokens: list[int]) -> str:
        end = self._model.config.eos_token_id
        kept = tokens[: tokens.index(end)] if end in tokens else tokens
        return str(self._tokenizer.decode(kept))
