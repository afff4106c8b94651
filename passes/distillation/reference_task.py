"""Training the reference model's family: batches from its own generator, answers by teacher forcing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from exporter.families.multimodal_transformer.runner import load_tokenizer
from exporter.model_folder import ModelFolder
from exporter.program import Request
from exporter.reference_model.batches import BatchSource
from exporter.reference_model.config import ModelConfig
from exporter.reference_model.corpus import Corpus, load_corpus
from exporter.reference_model.dataset import load_requests
from exporter.reference_model.digits import SIDE
from exporter.reference_model.generation import TorchAnswerer
from exporter.reference_model.layers import Pairing
from exporter.reference_model.model import MultiModalTransformer
from exporter.reference_model.preprocessor import Preprocessor
from exporter.reference_model.questions import Kind, draw_question
from exporter.reference_model.splits import Split
from passes.distillation.losses import IGNORED
from passes.distillation.task import Batch, Prediction, Task
from passes.training.batches import DrawnStream

_WORDINGS = 5
"""Ways in which the teacher is asked what it sees; the most frequent answer counts."""

_VARIANTS = 10
_CORPUS_VARIANTS = 3


class ReferenceTask(Task):
    """The reference model on batches of `reference_stream`.

    Args:
        config: Its dimensions.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(MultiModalTransformer(config))

    def forward(self, batch: Batch) -> Prediction:
        """Predicts every token of every answer.

        Args:
            batch: Fields of `exporter.reference_model.batches.Batch`.
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
        data: What `python -m exporter.reference_model.prepare` wrote; without it, pictures and sounds are put
            together anew from the folder's calibration set, and the teacher says what they show.
        pairs: Pictures and sounds in a batch; each pair is asked all kinds of questions.
        seed: Of everything drawn.

    Raises:
        DiagnosticError: Data or folder cannot be read.
    """
    preprocessor = Preprocessor.from_json(folder.read_json("preprocessor_config.json"))
    tokenizer = load_tokenizer(folder.read_bytes("tokenizer.json"))
    corpus = transfer_corpus(folder) if data is None else load_corpus(data, Split.TRAIN)
    variants = _VARIANTS if data is None else _CORPUS_VARIANTS
    source = BatchSource(corpus, preprocessor, tokenizer, pairs=pairs, variants=variants, seed=seed)

    def draw(rng: np.random.Generator) -> Batch:
        batch = source.draw(rng)
        return {name: torch.from_numpy(np.asarray(values)) for name, values in vars(batch).items()}

    return DrawnStream(draw, seed)


def transfer_corpus(folder: ModelFolder) -> Corpus:
    """Cuts the calibration set into digits and spoken numbers, labelled by the teacher: no answer is looked up.

    Raises:
        DiagnosticError: The folder has no calibration set, or it is damaged.
    """
    requests = load_requests(Split.CALIBRATION, folder.path)
    shown = _labels(folder, requests, Kind.SHOWN)
    said = _labels(folder, requests, Kind.SAID)
    halves = [
        (_cut_digit(half), number // 10 if side == 0 else number % 10)
        for request, number in zip(requests, shown, strict=True)
        if request.image is not None
        for side, half in enumerate(np.split(np.asarray(request.image.convert("L")), 2, axis=1))
    ]
    clips = [
        np.round(np.clip(request.audio, -1, 1) * 32767).astype(np.int16)
        for request in requests
        if request.audio is not None
    ]
    return Corpus(
        digit_images=np.stack([image for image, _ in halves]),
        digit_labels=np.array([label for _, label in halves], np.int64),
        clips=np.concatenate(clips),
        clip_offsets=np.cumsum([0, *(len(clip) for clip in clips)], dtype=np.int64),
        clip_numbers=np.array(said, np.int64),
    )


def _labels(folder: ModelFolder, requests: list[Request], kind: Kind) -> list[int]:
    """Asks the teacher in several wordings; an answer that is no number from 10 to 99 does not count."""
    answerer = _answerer(folder)
    rng = np.random.default_rng(0)
    votes = []
    for _ in range(_WORDINGS):
        asked = [
            Request(draw_question(kind, Split.TRAIN, rng), r.image, r.audio, r.sample_rate) for r in requests
        ]
        votes.append([int(a) if a.isdigit() and 10 <= int(a) <= 99 else 10 for a in answerer(asked)])
    return [int(np.bincount(column).argmax()) for column in zip(*votes, strict=True)]


def _answerer(folder: ModelFolder) -> TorchAnswerer:
    from safetensors.torch import load

    model = MultiModalTransformer(ModelConfig.from_json(folder.config))
    model.load_state_dict(load(folder.read_bytes("model.safetensors")))
    preprocessor = Preprocessor.from_json(folder.read_json("preprocessor_config.json"))
    return TorchAnswerer(model.eval(), preprocessor, load_tokenizer(folder.read_bytes("tokenizer.json")))


def _cut_digit(half: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Cuts the [28, 28] window with the ink in its middle out of half a picture, scaled to [32, 32]."""
    canvas = np.asarray(Image.fromarray(half).resize((32, 32), Image.Resampling.BILINEAR))
    ink = np.argwhere(canvas > 64)
    middle = (ink.min(0) + ink.max(0) + 1) / 2 if len(ink) else np.array([16.0, 16.0])
    top, left = np.clip(np.round(middle - SIDE / 2), 0, 32 - SIDE).astype(int)
    return canvas[top : top + SIDE, left : left + SIDE].copy()
