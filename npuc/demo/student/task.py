"""Training the bundled model's family: batches from its own generator, answers by teacher forcing."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.folder_tokenizer import FolderTokenizer
from exporter.families.multimodal_transformer.layers import Pairing
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from npuc.demo.batches import BatchSource
from npuc.demo.corpus import load_corpus
from npuc.demo.transfer import load_transfer
from passes.learning.distillation.losses import IGNORED
from passes.learning.distillation.task import Batch, Prediction, Task
from passes.learning.training.batches import DrawnStream

_VARIANTS = 3
"""Augmented variants of each digit and clip, as in the model's own training."""


class ReferenceTask(Task):
    """The bundled model on batches of `reference_stream`.

    Args:
        config: Its dimensions.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(MultiModalTransformer(config))

    def forward(self, batch: Batch) -> Prediction:
        """Predicts every token of every answer.

        Args:
            batch: Fields of `npuc.demo.batches.Batch`.
        """
        model: MultiModalTransformer = self.network  # type: ignore[assignment]
        mask = batch["question_masks"]
        vision = model.vision_encoder(batch["pixels"])
        audio = model.audio_encoder(batch["mel"])
        text = model.text_encoder(batch["question_ids"], mask)
        memory = model.fusion(vision, audio, text, mask, Pairing(batch["question"], batch["pair"]))
        logits = model.decode_all(batch["inputs"], memory).flatten(0, 1)
        targets = batch["targets"].flatten()
        rows = targets != IGNORED
        return Prediction(logits[rows], targets[rows])


def reference_stream(folder: ModelFolder, data: Path | None, pairs: int, seed: int) -> DrawnStream[Batch]:
    """Returns endless batches.

    Args:
        folder: Of the teacher.
        data: What `python -m npuc.demo.prepare` wrote; default: the part of it in the folder.
        pairs: Pictures and sounds in a batch; each pair is asked all kinds of questions.
        seed: Of the batches.

    Raises:
        DiagnosticError: Data or folder cannot be read.
    """
    source = _source(folder.path, data, pairs)

    def draw(rng: np.random.Generator) -> Batch:
        batch = source.draw(rng)
        return {name: torch.from_numpy(np.asarray(values)) for name, values in vars(batch).items()}

    return DrawnStream(draw, seed)


@functools.lru_cache(maxsize=1)
def _source(path: Path, data: Path | None, pairs: int) -> BatchSource:
    """Augments the corpus once for training and for the measurements before and after it."""
    folder = ModelFolder(path)
    preprocessor = Preprocessor.from_json(folder.read_json("preprocessor_config.json"))
    tokenizer = FolderTokenizer(folder.read_bytes("tokenizer.json"))
    corpus = load_transfer(folder) if data is None else load_corpus(data, Split.TRAIN)
    return BatchSource(corpus, preprocessor, tokenizer, pairs=pairs, variants=_VARIANTS, seed=0)
