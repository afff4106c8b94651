"""Captures the bundled model from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import SourceError
from exporter.families.family import Signatures
from exporter.families.multimodal_transformer.config import MODEL_TYPE, ModelConfig
from exporter.families.multimodal_transformer.folder_tokenizer import FolderTokenizer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.families.multimodal_transformer.requests import load_requests
from exporter.families.multimodal_transformer.runner import MultimodalTransformerRunner
from exporter.families.multimodal_transformer.splits import Split
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint
from exporter.options import CaptureOptions
from exporter.preprocessing.text import MAX_TOKENIZER_BYTES
from exporter.provenance import provenance
from program.program import Component, Original, Program


class MultimodalTransformerFamily:
    """Adapter for folders whose config.json says `"model_type": "multimodal_transformer"`."""

    name = MODEL_TYPE

    def matches(self, config: Mapping[str, Any]) -> bool:
        """Whether a folder with this config.json belongs to the family."""
        return config.get("model_type") == MODEL_TYPE

    def capture(self, folder: ModelFolder, options: CaptureOptions) -> Program:
        """Captures the five components; image size and cache length are the model's own.

        Raises:
            ExportError: Configuration, weights, preprocessing and tokenizer do not fit together.
        """
        config = ModelConfig.from_json(folder.config)
        preprocessor = Preprocessor.from_json(folder.read_json("preprocessor_config.json"))
        tokenizer = folder.read_bytes("tokenizer.json", MAX_TOKENIZER_BYTES)
        _check_inputs(config, preprocessor, FolderTokenizer(tokenizer).vocabulary_size)
        checkpoint = Checkpoint(folder)
        return Program(
            family=self.name,
            components=_capture_components(config, checkpoint, options),
            settings={"config": config.to_json(), "preprocessor": preprocessor.to_json()},
            assets={"tokenizer.json": tokenizer},
            requests=tuple(load_requests(Split.CALIBRATION, folder.path)),
            provenance=provenance(folder, checkpoint.files),
            original=_original(config, checkpoint, folder),
        )

    def runner(
        self, settings: Mapping[str, Any], assets: Mapping[str, bytes], signatures: Signatures
    ) -> MultimodalTransformerRunner:
        """Builds the generation loop. Needs no torch.

        Raises:
            SourceError: Settings or assets are damaged.
        """
        return MultimodalTransformerRunner(settings, assets, signatures)


def _capture_components(
    config: ModelConfig, checkpoint: Checkpoint, options: CaptureOptions
) -> dict[str, Component]:
    # torch takes seconds to import; listing families must not pay for it
    from exporter.capture import build_on_meta, capture_module
    from exporter.families.multimodal_transformer.components import component_captures, component_modules
    from exporter.families.multimodal_transformer.model import MultiModalTransformer

    with build_on_meta(options.ir_dtype):
        modules = component_modules(MultiModalTransformer(config))
    components = {}
    for what in component_captures(config, options.ir_dtype):
        module, prefix = modules[what.name]
        bind = checkpoint.bind(lambda name, prefix=prefix: prefix + name)  # type: ignore[misc]
        components[what.name] = capture_module(module, what, bind)
    return components


def _original(config: ModelConfig, checkpoint: Checkpoint, folder: ModelFolder) -> Original:
    # as above
    from exporter.families.multimodal_transformer.original import original_model

    return original_model(config, [folder.file(name) for name in checkpoint.files])


def _check_inputs(config: ModelConfig, preprocessor: Preprocessor, vocabulary: int) -> None:
    expected = (config.image_height, config.image_width, config.mel_bins, config.audio_frames)
    image, audio = preprocessor.image, preprocessor.audio
    made = (image.height, image.width, audio.mel_bins, audio.frames)
    pairs = {
        "image height, width, mel bins, audio frames": (made, expected),
        "text length": (preprocessor.text_length, config.text_length),
        "vocabulary": (vocabulary, config.vocab_size),
    }
    for what, (received, wanted) in pairs.items():
        if received != wanted:
            raise SourceError(
                "The preprocessing does not make what config.json asks for.",
                where=f"preprocessor_config.json, tokenizer.json: {what}",
                received=f"{received}, config.json asks for {wanted}",
                remedy="restore the files that belong together",
            )
