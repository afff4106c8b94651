"""A picture and a sentence to a class: ResNet's bottleneck layout, BERT's layout, and a joint head, all narrow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STAGES = (3, 4, 6, 3)
"""Bottleneck blocks of each stage of ResNet-50 (He et al., arXiv 1512.03385, table 1)."""

EXPANSION = 4
LENGTH = 16
"""Words a sentence is padded to."""


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut, ReLU after the addition."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.reduce = _convolution(channels, width, 1)
        self.spatial = _convolution(width, width, 3, stride)
        self.expand = _convolution(width, EXPANSION * width, 1)
        same = stride == 1 and channels == EXPANSION * width
        self.shortcut = nn.Identity() if same else _convolution(channels, EXPANSION * width, 1, stride)

    def forward(self, values: Tensor) -> Tensor:
        """Maps [b, channels, h, w] to [b, 4 width, h / stride, w / stride]."""
        inner = self.expand(torch.relu(self.spatial(torch.relu(self.reduce(values)))))
        return torch.relu(inner + self.shortcut(values))


class ResNet(nn.Module):
    """ResNet-50's stages on small pictures: a 3x3 stem without pooling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = _convolution(1, width, 3)
        blocks: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(STAGES):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Bottleneck(channels, width << stage, stride))
                channels = EXPANSION * (width << stage)
        self.blocks = nn.Sequential(*blocks)
        self.channels = channels

    def forward(self, picture: Tensor) -> Tensor:
        """Maps [b, 1, 28, 28] to [b, channels]."""
        return self.blocks(torch.relu(self.stem(picture))).mean(dim=(2, 3))  # type: ignore[no-any-return]


class BertLayer(nn.Module):
    """Self-attention and feed-forward, each followed by addition and LayerNorm (Devlin et al., arXiv 1810.04805)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output, self.output_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Maps [b, n, width] to the same shape; the additive mask is [b, 1, 1, n]."""
        batch, length, width = tokens.shape
        queries, keys, values = (
            layer(tokens).reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.matmul(queries, keys.transpose(-1, -2)) * (width // self.heads) ** -0.5 + mask
        mixed = (
            torch.matmul(torch.softmax(scores, dim=-1), values).transpose(1, 2).reshape(batch, length, width)
        )
        tokens = self.output_norm(tokens + self.output(mixed))
        return self.norm(tokens + self.down(nn.functional.gelu(self.up(tokens))))  # type: ignore[no-any-return]


class CnnBert(nn.Module):
    """Joins the picture's vector and that of the sentence's first token.

    Args:
        vocabulary: Words; id 0 is padding.
        classes: Of the answer.
        width: Channels of the ResNet's first stage.
        text_width: Channels of BERT.
    """

    def __init__(self, vocabulary: int, classes: int, width: int = 8, text_width: int = 64) -> None:
        super().__init__()
        self.vision = ResNet(width)
        self.embedding = nn.Embedding(vocabulary, text_width)
        self.position = nn.Parameter(0.02 * torch.randn(1, LENGTH, text_width))
        self.embedding_norm = nn.LayerNorm(text_width)
        self.text = nn.ModuleList(BertLayer(text_width, 4) for _ in range(2))
        self.fusion_hidden = nn.Linear(self.vision.channels + text_width, 64)
        self.fusion_output = nn.Linear(64, classes)

    def forward(self, picture: Tensor, ids: Tensor) -> Tensor:
        """Maps pictures [b, 1, 28, 28] and word ids [b, LENGTH] to logits [b, classes]."""
        mask = (ids == 0).to(picture.dtype)[:, None, None] * -1e4
        tokens = self.embedding_norm(self.embedding(ids) + self.position)
        for layer in self.text:
            tokens = layer(tokens, mask)
        joined = torch.cat([self.vision(picture), tokens[:, 0]], dim=1)
        return self.fusion_output(torch.relu(self.fusion_hidden(joined)))  # type: ignore[no-any-return]


def fold_batch_norms(model: nn.Module) -> None:
    """Puts batch normalisation into the convolutions before it, in place; the model is in evaluation mode after."""
    model.eval()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Sequential) and len(child) == 2 and isinstance(child[1], nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(child[0], child[1]))


def _convolution(channels: int, width: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, size, stride, size // 2, bias=False), nn.BatchNorm2d(width)
    )
