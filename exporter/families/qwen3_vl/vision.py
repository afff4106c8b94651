"""The vision encoder of Qwen3-VL for one image of a fixed grid. Module names are those of the checkpoint.

Differences from the published module, none of them numeric: the patch convolution is a matrix product (its kernel
covers a whole patch), and positions are tables that depend on the grid alone. One image is one attention segment.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from exporter.families.qwen3_vl.config import VisionConfig
from exporter.families.qwen3_vl.positions import patch_coordinates, vision_rotary_tables

_NORM_EPSILON = 1e-6  # fixed in the architecture, not in config.json


class VisionEncoder(nn.Module):
    """Patches of one image → embeddings for the decoder.

    Args:
        config: `vision_config`.
        grid: Patches per column and per row.
    """

    def __init__(self, config: VisionConfig, grid: tuple[int, int]) -> None:
        super().__init__()
        patches = grid[0] * grid[1]
        self.patch_embed = PatchEmbedding(config)
        # the learned table, already resampled to the grid (see `interpolate_positions`)
        self.position_embedding = nn.Parameter(torch.empty(1, patches, config.hidden_size))
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.merger = PatchMerger(config, norm_after_merge=False)
        self.deepstack_merger_list = nn.ModuleList(
            PatchMerger(config, norm_after_merge=True) for _ in config.deepstack_visual_indexes
        )
        self.deepstack_indexes = config.deepstack_visual_indexes
        coordinates = patch_coordinates(grid, config.spatial_merge_size)
        cosine, sine = vision_rotary_tables(coordinates, config.head_dim, config.rope_theta)
        self.register_buffer("cosine", torch.from_numpy(cosine), persistent=False)
        self.register_buffer("sine", torch.from_numpy(sine), persistent=False)

    def forward(self, patches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encodes an image.

        Args:
            patches: [1, patches, channels * time * height * width], normalised pixels in merge-block order.

        Returns:
            Image embeddings [1, tokens, out_hidden], then one such tensor for each deepstack index.
        """
        hidden = self.patch_embed(patches) + self.position_embedding
        deepstack = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, self.get_buffer("cosine"), self.get_buffer("sine"))
            if index in self.deepstack_indexes:
                merger = self.deepstack_merger_list[self.deepstack_indexes.index(index)]
                deepstack.append(merger(hidden))
        return (self.merger(hidden), *deepstack)


class PatchEmbedding(nn.Module):
    """Projects flattened patches."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(config.patch_dim, config.hidden_size)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """[1, patches, patch_dim] → [1, patches, hidden]."""
        embedded: torch.Tensor = self.proj(patches)
        return embedded


class VisionBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=_NORM_EPSILON)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=_NORM_EPSILON)
        self.attn = VisionAttention(config)
        self.mlp = VisionMLP(config)

    def forward(self, hidden: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """[1, patches, hidden] → the same shape."""
        hidden = hidden + self.attn(self.norm1(hidden), cosine, sine)
        result: torch.Tensor = hidden + self.mlp(self.norm2(hidden))
        return result


class VisionAttention(nn.Module):
    """Full self-attention with two-dimensional rotary positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """[1, patches, hidden] → the same shape; tables are [patches, head_dim] in float32."""
        query, key, value = (self._heads(part) for part in self.qkv(hidden).chunk(3, dim=-1))
        query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
        # scaled before the product, whose sums might leave the range of float16
        scores = torch.matmul(query * self.head_dim**-0.5, key.transpose(2, 3))
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
        mixed = torch.matmul(weights, value).transpose(1, 2).flatten(2)
        projected: torch.Tensor = self.proj(mixed)
        return projected

    def _heads(self, part: torch.Tensor) -> torch.Tensor:
        return part.view(1, part.shape[1], self.num_heads, self.head_dim).transpose(1, 2)


class VisionMLP(nn.Module):
    """Two linear layers around a GELU (tanh form)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[1, patches, hidden] → the same shape."""
        result: torch.Tensor = self.linear_fc2(functional.gelu(self.linear_fc1(hidden), approximate="tanh"))
        return result


class PatchMerger(nn.Module):
    """Joins each merge block of patches into one token of the decoder's width.

    Args:
        config: `vision_config`.
        norm_after_merge: Normalise the joined vector (deepstack) rather than each patch.
    """

    def __init__(self, config: VisionConfig, norm_after_merge: bool) -> None:
        super().__init__()
        self.merged_size = config.hidden_size * config.spatial_merge_size**2
        self.norm_after_merge = norm_after_merge
        width = self.merged_size if norm_after_merge else config.hidden_size
        self.norm = nn.LayerNorm(width, eps=_NORM_EPSILON)
        self.linear_fc1 = nn.Linear(self.merged_size, self.merged_size)
        self.linear_fc2 = nn.Linear(self.merged_size, config.out_hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[1, patches, hidden] → [1, tokens, out_hidden]."""
        if self.norm_after_merge:
            merged = self.norm(hidden.reshape(1, -1, self.merged_size))
        else:
            merged = self.norm(hidden).reshape(1, -1, self.merged_size)
        result: torch.Tensor = self.linear_fc2(functional.gelu(self.linear_fc1(merged)))
        return result


def rotate(heads: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Applies rotary positions in float32.

    Args:
        heads: [1, heads, positions, head_dim].
        cosine: Broadcastable to `heads`, as is `sine`; both halves of head_dim hold the same angles.
        sine: See `cosine`.
    """
    wide = heads.float()
    first, second = wide.chunk(2, dim=-1)
    turned = wide * cosine + torch.cat((-second, first), dim=-1) * sine
    return turned.to(heads.dtype)
