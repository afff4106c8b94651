"""Captures a Qwen3-VL checkpoint as four components: vision_encoder, embedding, prefill and decode."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from exporter.calibration import folder_requests, image_requests
from exporter.errors import ExportError
from exporter.families.family import Signatures
from exporter.families.qwen3_vl.config import Qwen3VLConfig, parse_config
from exporter.families.qwen3_vl.image_statistics import image_statistics
from exporter.families.qwen3_vl.original import original_model
from exporter.families.qwen3_vl.positions import interpolate_positions, patch_coordinates
from exporter.families.qwen3_vl.runner import Qwen3VLRunner
from exporter.files.generation_config import end_tokens
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Bind, Checkpoint
from exporter.options import CaptureOptions
from exporter.preprocessing.chat_template import ASSET as TEMPLATE_ASSET
from exporter.preprocessing.chat_template import QWEN_TEMPLATE, read_template
from exporter.preprocessing.image import PatchLayout, smart_resize
from exporter.preprocessing.text import read_tokenizer
from exporter.provenance import provenance
from program.program import Component, Modality, Program, Role, TensorSpec

if TYPE_CHECKING:
    from exporter.capture import Capture

_TEXT_PREFIX = "model.language_model."
_VISION_PREFIX = "model.visual."
_EMBEDDING = "model.language_model.embed_tokens.weight"
_LM_HEAD = "lm_head.weight"


class Qwen3VLFamily:
    """Qwen3-VL of any dense size (2B, 4B, 8B …)."""

    name = "qwen3_vl"

    def matches(self, config: Mapping[str, Any]) -> bool:
        """Whether config.json names this model type."""
        return config.get("model_type") == "qwen3_vl"

    def capture(self, folder: ModelFolder, options: CaptureOptions) -> Program:
        """Captures the four components; weights stay in the user's files.

        Raises:
            ExportError: config.json or the weights do not fit, or the image size does not.
        """
        config = parse_config(folder.config, str(folder.path / "config.json"))
        layout = patch_layout(folder, config, options)
        checkpoint = Checkpoint(folder)
        capturer = _Capturer(config, checkpoint, options, layout)
        components = (
            capturer.vision(),
            capturer.embedding(),
            capturer.decoder("prefill"),
            capturer.decoder("decode"),
        )
        return Program(
            family=self.name,
            components={component.name: component for component in components},
            settings=runner_settings(folder, config, options, layout),
            assets={
                "tokenizer.json": read_tokenizer(folder),
                TEMPLATE_ASSET: read_template(folder, QWEN_TEMPLATE).encode(),
            },
            requests=folder_requests(folder) or image_requests(options.seed, options.requests, layout.size),
            provenance=provenance(folder, checkpoint.files),
            original=original_model(folder.config, layout.grid, bind_stock_names(config, checkpoint)),
        )

    def runner(
        self, settings: Mapping[str, Any], assets: Mapping[str, bytes], signatures: Signatures
    ) -> Qwen3VLRunner:
        """The generation loop."""
        return Qwen3VLRunner(settings, assets, signatures)


@dataclasses.dataclass(frozen=True)
class _Capturer:
    """Captures single components of one checkpoint."""

    config: Qwen3VLConfig
    checkpoint: Checkpoint
    options: CaptureOptions
    layout: PatchLayout

    def vision(self) -> Component:
        """Patches of one picture → merged embeddings and deepstack features."""
        from exporter.capture import Capture, build_on_meta, capture_module
        from exporter.families.qwen3_vl.vision import VisionEncoder

        config = self.config.vision
        rows, columns = self.layout.grid
        features = len(config.deepstack_visual_indexes)
        what = Capture(
            name="vision_encoder",
            role=Role.VISION_ENCODER,
            modality=Modality.VISION,
            inputs=(self._float("patches", 1, rows * columns, config.patch_dim),),
            outputs=("image_embeddings", *(f"deepstack_{index}" for index in range(features))),
        )
        with build_on_meta(self.options.ir_dtype):
            module = VisionEncoder(config, self.layout.grid)
        return capture_module(module, what, self._bind_vision)

    def embedding(self) -> Component:
        """Token ids of one prefill chunk → embeddings."""
        from exporter.capture import Capture, build_on_meta, capture_module
        from exporter.families.qwen3_vl.decoder import TokenEmbedding

        what = Capture(
            name="embedding",
            role=Role.EMBEDDING,
            modality=Modality.TEXT,
            inputs=(TensorSpec("input_ids", ir.DataType.INT64, (1, self.options.prefill_length)),),
            outputs=("embeddings",),
        )
        with build_on_meta(self.options.ir_dtype):
            module = TokenEmbedding(self.config.text)
        return capture_module(module, what, self._bind_text)

    def decoder(self, name: str) -> Component:
        """Embeddings and KV cache → logits and new cache rows; `prefill` for a chunk, `decode` for one token."""
        from exporter.capture import build_on_meta, capture_module
        from exporter.families.qwen3_vl.decoder import Decoder

        prefill = name == "prefill"
        features = len(self.config.vision.deepstack_visual_indexes) if prefill else 0
        what = self._decoder_signature(name, self.options.prefill_length if prefill else 1, features)
        with build_on_meta(self.options.ir_dtype):
            module = Decoder(self.config.text, features, select_row=prefill)
        return capture_module(module, what, self._bind_text)

    def _decoder_signature(self, name: str, tokens: int, features: int) -> Capture:
        from exporter.capture import Capture
        from exporter.modality import ModalityRule

        text, cache = self.config.text, self.options.cache_length
        layers = range(text.num_hidden_layers)
        select_row = (TensorSpec("logit_index", ir.DataType.INT64, (1,)),) if name == "prefill" else ()
        past = (text.num_key_value_heads, cache, text.head_dim)
        return Capture(
            name=name,
            role=Role.PREFILL if name == "prefill" else Role.DECODE,
            modality=Modality.TEXT,
            inputs=(
                self._float("inputs_embeds", 1, tokens, text.hidden_size),
                self._float("mask", 1, 1, tokens, cache + tokens),
                TensorSpec("position_ids", ir.DataType.INT64, (3, 1, tokens)),
                *select_row,
                *(self._float(f"deepstack_{i}", 1, tokens, text.hidden_size) for i in range(features)),
                *(self._float(f"past_{kind}_{i}", 1, *past) for i in layers for kind in ("key", "value")),
            ),
            outputs=("logits", *(f"new_{kind}_{i}" for i in layers for kind in ("key", "value"))),
            rules=(ModalityRule(r"^deepstack$", Modality.FUSION),),
        )

    def _float(self, name: str, *shape: int) -> TensorSpec:
        return TensorSpec(name, self.options.ir_dtype, shape)

    @property
    def _bind_text(self) -> Bind:
        stock = bind_stock_names(self.config, self.checkpoint)
        return lambda name, dtype, shape: stock(
            name if name == _LM_HEAD else _TEXT_PREFIX + name, dtype, shape
        )

    def _bind_vision(self, name: str, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:
        vision = self.config.vision
        if name == "position_embedding":
            return self._resampled_positions(dtype, shape)
        if name == "patch_embed.proj.weight":
            # stored as the kernel of a 3-D convolution that covers a whole patch
            kernel = (vision.temporal_patch_size, vision.patch_size, vision.patch_size)
            stored = (vision.hidden_size, vision.in_channels, *kernel)
            return self.checkpoint.tensor(_VISION_PREFIX + name, dtype, shape, stored_shape=stored)
        return self.checkpoint.tensor(_VISION_PREFIX + name, dtype, shape)

    def _resampled_positions(self, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:
        vision, grid = self.config.vision, self.layout.grid
        stored = _VISION_PREFIX + "pos_embed.weight"
        table = self.checkpoint.tensor(
            stored, ir.DataType.FLOAT, (vision.num_position_embeddings, vision.hidden_size)
        )
        coordinates = patch_coordinates(grid, vision.spatial_merge_size)

        def compute() -> ir.TensorProtocol:
            positions = interpolate_positions(table.numpy(), coordinates, grid)
            return ir.tensor(positions.reshape(shape).astype(dtype.numpy()))

        return ir.LazyTensor(compute, dtype, ir.Shape(shape), name=f"vision_encoder/{stored}.resampled")


def bind_stock_names(config: Qwen3VLConfig, checkpoint: Checkpoint) -> Bind:
    """Binds names of transformers' module, which are those of the checkpoint; a tied LM head is not stored."""
    tied = config.tie_word_embeddings
    return checkpoint.bind(lambda name: _EMBEDDING if tied and name == _LM_HEAD else name)


def patch_layout(folder: ModelFolder, config: Qwen3VLConfig, options: CaptureOptions) -> PatchLayout:
    """Returns how pictures are cut.

    Raises:
        ExportError: The image size does not fit the model, or preprocessor_config.json is malformed.
    """
    vision = config.vision
    if any(side % vision.size_factor for side in options.image_size):
        nearest = smart_resize(options.image_size, vision.size_factor, vision.size_factor**2)
        raise ExportError(
            f"the image size must be a multiple of {vision.size_factor} pixels on both sides",
            received=f"{options.image_size[0]} x {options.image_size[1]}",
            remedy=f"use {nearest[0]} x {nearest[1]}",
        )
    mean, std = image_statistics(folder)
    return PatchLayout(
        size=options.image_size,
        patch=vision.patch_size,
        merge=vision.spatial_merge_size,
        temporal=vision.temporal_patch_size,
        mean=mean,
        std=std,
    )


def runner_settings(
    folder: ModelFolder, config: Qwen3VLConfig, options: CaptureOptions, layout: PatchLayout
) -> dict[str, Any]:
    """Returns what `Qwen3VLRunner` needs to know of the model."""
    image = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(layout).items()
    }
    return {
        "dtype": options.dtype,
        "image": image,
        "image_token_id": config.image_token_id,
        "eos_token_ids": list(end_tokens(folder)),
        "deepstack": len(config.vision.deepstack_visual_indexes),
        "prefill_length": options.prefill_length,
        "cache_length": options.cache_length,
    }
