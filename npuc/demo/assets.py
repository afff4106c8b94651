"""Writes the model folder: configuration, weights, tokenizer, preprocessing, sets of examples, a sample."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer

from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.dataset import save_examples
from npuc.demo.examples import Example
from npuc.demo.speech import SAMPLE_RATE

SAMPLE_IMAGE = "sample/image.png"
SAMPLE_SOUND = "sample/question.wav"


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON file, indented, with a final newline."""
    path.write_text(json.dumps(document, indent=1) + "\n")


def save_model(
    folder: Path, model: MultiModalTransformer, preprocessor: Preprocessor, tokenizer: Tokenizer
) -> None:
    """Writes the files a model folder of Hugging Face's layout has."""
    write_json(folder / "config.json", model.config.to_json())
    write_json(folder / "preprocessor_config.json", preprocessor.to_json())
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def save_sets(folder: Path, calibration: Sequence[Example], test: Sequence[Example], sample: int) -> None:
    """Writes the example sets, and one test example as ordinary PNG and WAV files."""
    save_examples(calibration, folder, Split.CALIBRATION)
    save_examples(test, folder, Split.TEST)
    (folder / SAMPLE_IMAGE).parent.mkdir(exist_ok=True)
    Image.fromarray(test[sample].image).save(folder / SAMPLE_IMAGE)
    _save_wav(folder / SAMPLE_SOUND, test[sample].samples)


def _save_wav(path: Path, samples: npt.NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
