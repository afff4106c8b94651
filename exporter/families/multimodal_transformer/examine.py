"""Looks through a folder of the bundled model before anything is made of it; runs in a child process."""

from __future__ import annotations

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.files.checkpoint_files import CheckpointFiles
from exporter.files.model_folder import ModelFolder
from exporter.preprocessing import tokenizer_calls
from exporter.preprocessing.text import MAX_TOKENIZER_BYTES


def examine(folder: ModelFolder, checkpoint: CheckpointFiles) -> None:
    """Checks the dimensions, and tries the tokenizer.

    Raises:
        SourceError: The files are damaged, or do not belong together.
    """
    config = ModelConfig.from_json(folder.config)
    if config.layers > len(checkpoint.tensors):
        raise SourceError(
            "config.json asks for more layers than the checkpoint has tensors",
            where=str(folder.path),
            received=f"{config.layers} layers, {len(checkpoint.tensors)} tensors",
            remedy="restore the files that belong together",
        )
    folder.read_json("preprocessor_config.json")
    tokenizer_calls.load(folder.read_bytes("tokenizer.json", MAX_TOKENIZER_BYTES))
    tokenizer_calls.decode(b"", tokenizer_calls.encode(b"what is the sum?", special=True))
