"""Training Qwen3-VL: one conversation at a time, with or without a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from exporter.calibration import folder_requests, image_requests
from exporter.families.kv_cache import MASKED
from exporter.families.qwen3_vl.adapter import patch_layout, runner_settings
from exporter.families.qwen3_vl.config import Qwen3VLConfig, parse_config
from exporter.families.qwen3_vl.decoder import Decoder, TokenEmbedding
from exporter.families.qwen3_vl.positions import interpolate_positions, patch_coordinates, token_positions
from exporter.families.qwen3_vl.runner import Qwen3VLRunner
from exporter.families.qwen3_vl.vision import VisionEncoder
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.preprocessing.chat_template import ASSET as TEMPLATE_ASSET
from exporter.preprocessing.chat_template import QWEN_TEMPLATE, read_template
from exporter.preprocessing.image import PatchLayout, patches
from exporter.preprocessing.text import TextTokenizer, read_tokenizer
from passes.learning.distillation.losses import IGNORED
from passes.learning.distillation.observe import blank_run
from passes.learning.distillation.selection import Read
from passes.learning.distillation.task import Batch, Prediction, Task
from passes.learning.training.batches import DrawnStream, ShuffledStream
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.example_stream import ExampleStream
from passes.learning.training.data.manifest import Manifest
from passes.learning.training.data.sample import Example
from passes.learning.training.distributed import current_processes
from passes.learning.training.errors import TrainingError
from program.program import Request

_SYNTHETIC = 64
"""Seeded pictures and questions where neither a data set nor the folder offers any."""

_POSITIONS = "model.visual.pos_embed.weight"


class Qwen3VLTask(Task):
    """The vision encoder, the embedding and the decoder on whole sequences.

    The table of positions of the vision tower is resampled to the fixed grid and not trained.

    Args:
        config: Of the model.
        layout: Of pictures.
    """

    def __init__(self, config: Qwen3VLConfig, layout: PatchLayout) -> None:
        features = len(config.vision.deepstack_visual_indexes)
        vision = VisionEncoder(config.vision, layout.grid)
        embedding = TokenEmbedding(config.text)
        decoder = Decoder(config.text, features, select_row=False)
        super().__init__(nn.ModuleDict({"vision": vision, "embedding": embedding, "decoder": decoder}))
        self._config, self._layout = config, layout
        if config.tie_word_embeddings:
            decoder.lm_head.weight = embedding.embed_tokens.weight
        vision.position_embedding.requires_grad_(False)
        table = torch.zeros(config.vision.num_position_embeddings, config.vision.hidden_size)
        self.register_buffer("positions", table)

    def forward(self, batch: Batch) -> Prediction:
        """Predicts the tokens of one sequence that `batch["rows"]` marks.

        Args:
            batch: `ids` [1, S], `positions` [3, 1, S], `is_image` [S], `rows` [S], `targets` [S], and for sequences
                with a picture `patches` [1, patches, patch_dim].
        """
        parts: Any = self.network
        hidden = parts["embedding"](batch["ids"])
        deepstack = [torch.zeros_like(hidden) for _ in range(parts["decoder"].features)]
        if "patches" not in batch and current_processes().count > 1:
            with blank_run():
                blank = parts["vision"](self._blank(hidden.device))
            hidden = hidden + 0 * sum(part.sum() for part in blank)
        if "patches" in batch:
            image, *features = parts["vision"](batch["patches"])
            hidden = _placed(hidden, batch["is_image"], image)
            deepstack = [
                _placed(dense, batch["is_image"], f) for dense, f in zip(deepstack, features, strict=True)
            ]
        text, length = self._config.text, hidden.shape[1]
        mask = torch.full((length, length), MASKED, device=hidden.device).triu(1)[None, None]
        empty = hidden.new_zeros(1, text.num_key_value_heads, 0, text.head_dim)
        past = [empty] * (2 * text.num_hidden_layers)
        logits = parts["decoder"](hidden, mask, batch["positions"], *deepstack, *past)[0]
        return Prediction(logits.reshape(length, -1)[batch["rows"]], batch["targets"][batch["rows"]])

    def _blank(self, device: torch.device) -> torch.Tensor:
        """An empty picture: processes that share a layer must all run it, or they wait for each other for ever."""
        rows, columns = self._layout.grid
        return torch.zeros(1, rows * columns, self._config.vision.patch_dim, device=device)

    def load(self, read: Read) -> None:
        """Takes over a checkpoint's weights and resamples its table of positions."""
        super().load(read)
        table = self.get_buffer("positions").numpy()
        coordinates = patch_coordinates(self._layout.grid, self._config.vision.spatial_merge_size)
        resampled = torch.from_numpy(interpolate_positions(table, coordinates, self._layout.grid))
        vision: Any = self.network["vision"]  # type: ignore[index]
        with torch.no_grad():
            vision.position_embedding.copy_(resampled[None])

    def named_checkpoint(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the published names."""
        prefixes = {"vision": "model.visual.", "embedding": "model.language_model."}
        for name, tensor in self.network.state_dict(keep_vars=True).items():
            part, _, rest = name.partition(".")
            if name == "decoder.lm_head.weight":
                if not self._config.tie_word_embeddings:
                    yield rest, tensor
            elif name != "vision.position_embedding":
                yield prefixes.get(part, "model.language_model.") + rest, tensor
        yield _POSITIONS, self.get_buffer("positions")

    def stored_shape(self, name: str, tensor: torch.Tensor) -> tuple[int, ...]:
        """The patch projection is stored as the kernel of a 3-D convolution."""
        vision = self._config.vision
        if name != "model.visual.patch_embed.proj.weight":
            return tuple(tensor.shape)
        size = vision.patch_size
        return (tensor.shape[0], vision.in_channels, vision.temporal_patch_size, size, size)


def build_task(config: Mapping[str, Any], folder: ModelFolder, options: CaptureOptions) -> Qwen3VLTask:
    """Builds a task.

    Args:
        config: Content of the model's config.json.
        folder: Of the teacher, for the preprocessing.
        options: Image size.
    """
    parsed = parse_config(config, "config.json")
    return Qwen3VLTask(parsed, patch_layout(folder, parsed, options))


def qwen3_vl_stream(
    folder: ModelFolder,
    data: Path | None,
    size: int,
    seed: int,
    options: CaptureOptions,
    augmenter: Augmenter | None = None,
) -> DrawnStream[Batch]:
    """Returns endless batches, each one conversation: sequences have their own lengths.

    Args:
        folder: Of the teacher.
        data: A manifest (JSON Lines with image, text, answer); without it the folder's calibration requests, else
            seeded synthetic pictures and questions.
        size: Must be 1; more examples a step are `TrainingOptions.accumulation`.
        seed: Of the order.
        options: Image size and the longest sequence (`cache_length`).
        augmenter: Changes the manifest's examples, or None.

    Raises:
        TrainingError: The data cannot be read, has sounds, or `size` is not 1.
    """
    if size != 1:
        raise TrainingError(
            "Qwen3-VL trains on one sequence a batch",
            received=f"batch_size {size}",
            remedy="set batch_size to 1 and accumulation to the number of sequences a step",
        )
    encode = _Encoder(folder, options)
    if data is not None:
        return ExampleStream(Manifest(data), lambda items: encode(_request(items[0])), 1, seed, augmenter)
    requests: Sequence[Request] = folder_requests(folder) or image_requests(
        options.seed, _SYNTHETIC, options.image_size
    )
    return ShuffledStream(requests, lambda items, _rng: encode(items[0]), 1, seed)


class _Encoder:
    """Requests → batches."""

    def __init__(self, folder: ModelFolder, options: CaptureOptions) -> None:
        config = parse_config(folder.config, "config.json")
        self._layout = patch_layout(folder, config, options)
        self._longest = options.cache_length
        self._image_token = config.image_token_id
        settings = runner_settings(folder, config, options, self._layout)
        tokenizer = read_tokenizer(folder)
        assets = {"tokenizer.json": tokenizer, TEMPLATE_ASSET: read_template(folder, QWEN_TEMPLATE).encode()}
        self._runner = Qwen3VLRunner(settings, assets, {})
        self._tokenizer = TextTokenizer(tokenizer)
        self._end = int(settings["eos_token_ids"][0])

    def __call__(self, request: Request) -> Batch:
        prompt = self._runner.encode(request)
        answer = [] if request.answer is None else [*self._tokenizer.encode(request.answer), self._end]
        ids = np.concatenate([prompt, np.array(answer, np.int64)])
        if len(ids) > self._longest:
            raise TrainingError(
                "an example is longer than the KV cache",
                received=f"{len(ids)} tokens: {request.prompt[:80]!r}",
                remedy=f"shorten it to {self._longest} tokens, or raise cache_length",
            )
        is_image = ids == self._image_token
        positions, _ = token_positions(is_image, self._layout.token_grid)
        targets = np.full(len(ids), IGNORED, np.int64)
        targets[len(prompt) - 1 : len(prompt) - 1 + len(answer)] = answer
        batch = {
            "ids": ids[None],
            "positions": positions[:, None],
            "is_image": is_image,
            # what follows an image token is decided by the template, not by the model
            "rows": ~is_image,
            "targets": targets,
        }
        if request.image is not None:
            batch["patches"] = patches(request.image, self._layout)[None]
        return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in batch.items()}


def _placed(hidden: torch.Tensor, where: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Returns hidden states [1, S, width] with values [1, tokens, width] at the marked places."""
    places = where.nonzero().squeeze(1)
    return hidden.index_copy(1, places, values.to(hidden.dtype))


def _request(example: Example) -> Request:
    if example.samples is not None:
        raise TrainingError(
            "the model does not take what the training data holds",
            where=f"entry with the text {(example.text or '')[:80]!r}",
            received="audio",
            remedy="leave it out; the model takes image, text",
        )
    return Request(prompt=example.text or "", image=example.image, answer=example.answer)
