"""Runs transformers' own Qwen3-VL with the inputs of npuc's components. Importing this file needs transformers.

Only the form of the inputs differs: transformers takes the features of visual tokens without the rows of text between
them, and a cache object. Its additive mask is npuc's: it passes a mask of four dimensions on as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers.cache_utils import Cache, DynamicLayer

from exporter.eager_executor import Tensors, eager_executor
from exporter.errors import ExportError
from exporter.files.weights import Bind
from exporter.streamed_module import stream_weights
from program.program import Executor
from program.shorten import shorten

_ROPE_OF_TRANSFORMERS_4 = {"rope_scaling", "rope_theta"}


def open_component(name: str, config: Mapping[str, Any], grid: tuple[int, int], bind: Bind) -> Executor:
    """Opens one component.

    Args:
        name: `vision_encoder`, `embedding`, `prefill` or `decode`.
        config: The content of config.json.
        grid: Patches per column and per row.
        bind: Gives the tensor for each parameter of the part that is opened.

    Raises:
        ExportError: transformers cannot build the model, or a weight does not fit.
    """
    model = build(config)
    if name == "vision_encoder":
        stream_weights(model.model.visual, _below("model.visual.", bind))
        return eager_executor(lambda tensors: _encode(model.model.visual, grid, tensors))
    text = model.model.language_model
    stream_weights(text, _below("model.language_model.", bind))
    if name == "embedding":
        return eager_executor(lambda tensors: {"embeddings": text.embed_tokens(tensors["input_ids"])})
    stream_weights(model.lm_head, _below("lm_head.", bind))
    return eager_executor(lambda tensors: _decode(text, model.lm_head, tensors))


def build(config: Mapping[str, Any]) -> Any:
    """The unmodified `Qwen3VLForConditionalGeneration`: parameters on the meta device, buffers with their values.

    Raises:
        ExportError: transformers refuses the configuration.
    """
    try:
        stock = _stock_config(config)
        with torch.device("meta"):
            model = transformers.Qwen3VLForConditionalGeneration(stock).eval()
        # what these two hold is computed from the configuration, and no weight of the checkpoint
        vision, text = model.model.visual, model.model.language_model
        vision.rotary_pos_emb = type(vision.rotary_pos_emb)(stock.vision_config)
        text.rotary_emb = type(text.rotary_emb)(stock.text_config)
    except Exception as error:  # transformers raises many unrelated classes here; the user needs one
        raise ExportError(
            "transformers cannot build the model that config.json describes",
            where="Qwen3VLForConditionalGeneration",
            received=shorten(error),
            remedy="use the config.json that belongs to the checkpoint",
        ) from error
    return model


def _stock_config(config: Mapping[str, Any]) -> Any:
    """Fields of the architecture alone: others could name code, such as an attention kernel to download."""
    return transformers.Qwen3VLConfig(
        text_config=_declared(transformers.Qwen3VLTextConfig, config["text_config"]),
        vision_config=_declared(transformers.Qwen3VLVisionConfig, config["vision_config"]),
        attn_implementation="eager",
    )


def _declared(kind: type, section: Mapping[str, Any]) -> dict[str, Any]:
    names = inspect.get_annotations(kind).keys() | _ROPE_OF_TRANSFORMERS_4
    return {name: value for name, value in section.items() if name in names}


def _below(prefix: str, bind: Bind) -> Bind:
    return lambda name, dtype, shape: bind(prefix + name, dtype, shape)


def _encode(visual: Any, grid: tuple[int, int], tensors: Tensors) -> Tensors:
    outputs = visual(tensors["patches"][0], grid_thw=torch.tensor([[1, *grid]]))
    features = {f"deepstack_{i}": feature[None] for i, feature in enumerate(outputs.deepstack_features)}
    return {"image_embeddings": outputs.pooler_output[None], **features}


def _decode(text: Any, head: Any, tensors: Tensors) -> Tensors:
    """All rows are computed, those of padding too: their keys and values are outputs like the others."""
    layers = [
        _PastRows(tensors[f"past_key_{index}"], tensors[f"past_value_{index}"])
        for index in range(len(text.layers))
    ]
    features = [tensors[name] for name in _feature_names(tensors)]
    visual = torch.stack(features).ne(0).any(0).any(-1) if features else None
    hidden = text(
        inputs_embeds=tensors["inputs_embeds"],
        attention_mask=tensors["mask"],
        position_ids=tensors["position_ids"],
        past_key_values=Cache(layers=layers),
        use_cache=True,
        visual_pos_masks=visual,
        deepstack_visual_embeds=[feature[visual] for feature in features] or None,
    ).last_hidden_state
    row = tensors.get("logit_index")
    outputs = {"logits": head(hidden if row is None else hidden.index_select(1, row))[:, 0]}
    for index, layer in enumerate(layers):
        outputs |= {f"new_key_{index}": layer.new_keys, f"new_value_{index}": layer.new_values}
    return outputs


def _feature_names(tensors: Tensors) -> list[str]:
    count = sum(name.startswith("deepstack_") for name in tensors)
    return [f"deepstack_{index}" for index in range(count)]


class _PastRows(DynamicLayer):  # type: ignore[misc]
    """The cache of one layer: `DynamicLayer`, but what it keeps of a call is the new rows and no second copy of all.

    Args:
        keys: [1, kv_heads, C, head_dim], as `values`.
        values: See `keys`.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns [1, kv_heads, C + S, head_dim] of keys and of values."""
        self.new_keys, self.new_values = key_states, value_states
        return torch.cat((self.keys, key_states), 2), torch.cat((self.values, value_states), 2)
