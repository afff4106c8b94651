"""Programs to prune, and the masked original that a pruned one must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from exporter.sources import open_source
from passes.learning.pruning.cut import Kept, axis_indices, cut
from passes.learning.pruning.dependencies import Dependencies
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program, tensor_spec
from tests.captures import clone, normalised


def seeded(program: Program, name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random inputs of a component; integers are small, masks look everywhere."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in program.components[name].model.graph.inputs:
        spec = tensor_spec(value)
        if "mask" in spec.name:
            feeds[spec.name] = np.zeros(spec.shape, spec.numpy_dtype)
        elif spec.dtype == ir.DataType.INT64:
            feeds[spec.name] = rng.integers(0, 4, spec.shape)
        else:
            feeds[spec.name] = rng.standard_normal(spec.shape).astype(spec.numpy_dtype)
    return feeds


def mask(program: Program, dependencies: Dependencies, kept: Kept) -> None:
    """Zeroes, in place, every weight of the channels that are not kept."""
    for component in program.components.values():
        for name, value in component.model.graph.initializers.items():
            axes = dependencies.initializers.get(name, ())
            array = np.array(value.const_value.numpy())
            for index, axis in enumerate(axes):
                if any(dimension in kept for dimension in axis):
                    gone = np.ones(array.shape[index], bool)
                    gone[axis_indices(dependencies, axis, kept)] = False
                    array[(slice(None),) * index + (gone,)] = 0
                    value.const_value = ir.tensor(array, name=name)


def _select(
    arrays: Feeds,
    values: Mapping[str, ir.Value],
    program_axes: Mapping,
    dependencies: Dependencies,
    kept: Kept,
) -> dict[str, np.ndarray]:
    result = {}
    for name, array in arrays.items():
        for index, axis in enumerate(program_axes[values[name]]):
            array = np.take(array, axis_indices(dependencies, axis, kept), axis=index)
        result[name] = array
    return result


def assert_equals_masked(
    program: Program, dependencies: Dependencies, kept: Kept, atol: float = 1e-5
) -> None:
    """Cuts a copy, masks another, and compares all outputs of all components."""
    graphs = {name: component.model.graph for name, component in program.components.items()}
    names = {name: {v.name: v for v in (*g.inputs, *g.outputs)} for name, g in graphs.items()}
    masked = clone(program)
    mask(masked, dependencies, kept)
    feeds = {name: seeded(program, name) for name in graphs}
    small = {
        name: _select(feeds[name], names[name], dependencies.values[name], dependencies, kept)
        for name in graphs
    }
    expected = {}
    for name in graphs:
        full = _unselect(feeds[name], small[name], names[name], dependencies, kept, name)
        outputs = OnnxExecutor(masked.components[name].model)(full)
        expected[name] = _select(outputs, names[name], dependencies.values[name], dependencies, kept)
    cut(program, dependencies, kept)
    for name in graphs:
        received = OnnxExecutor(program.components[name].model)(small[name])
        for key, values in expected[name].items():
            scale = max(1.0, float(np.abs(values).max()))
            np.testing.assert_allclose(
                received[key] / scale, values / scale, atol=atol, rtol=0, err_msg=f"{name} {key}"
            )


def _unselect(
    feeds: Feeds,
    small: Feeds,
    values: Mapping[str, ir.Value],
    dependencies: Dependencies,
    kept: Kept,
    name: str,
) -> dict[str, np.ndarray]:
    """Puts small inputs back among zeros."""
    result = {}
    for key, array in feeds.items():
        axes = [axis_indices(dependencies, axis, kept) for axis in dependencies.values[name][values[key]]]
        whole = np.zeros_like(array)
        whole[np.ix_(*axes)] = small[key]
        result[key] = whole
    return result


@pytest.fixture(scope="session")
def qwen(tiny_qwen: Program) -> Program:
    return normalised(tiny_qwen)


@pytest.fixture(scope="session")
def demo() -> Program:
    return normalised(open_source("demo"))


class BertLayer(nn.Module):
    """A post-norm encoder layer in BERT's layout."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.up, self.down, self.last_norm = (
            nn.Linear(width, hidden),
            nn.Linear(hidden, width),
            nn.LayerNorm(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        split = [
            project(x).reshape(1, x.shape[1], self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        ]
        mixed = nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        x = self.norm(x + self.output(mixed))
        return self.last_norm(x + self.down(nn.functional.gelu(self.up(x))))


class Bert(nn.Module):
    """Embeddings, layers, and a classifier on the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 32), nn.Embedding(12, 32)
        self.norm = nn.LayerNorm(32)
        self.layers = nn.ModuleList(BertLayer(32, 4, 48) for _ in range(3))
        self.classifier = nn.Linear(32, 5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.words(ids) + self.places(torch.arange(12))[None])
        for layer in self.layers:
            x = layer(x)
        return self.classifier(x[:, 0])


class ResidualBlock(nn.Module):
    """Two convolutions with batch norms around an identity shortcut."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.first, self.first_norm = (
            nn.Conv2d(channels, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
        )
        self.second, self.second_norm = nn.Conv2d(inner, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(x + self.second_norm(self.second(inner)))


class ResidualNet(nn.Module):
    """A small residual network with a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.blocks = nn.ModuleList(ResidualBlock(16, 24) for _ in range(3))
        self.classifier = nn.Linear(16, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x))))
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean((2, 3)))


def exported(module: nn.Module, example: torch.Tensor, folder: Path) -> Program:
    """A torch module through the generic adapter."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    path = folder / "model.pt2"
    torch.export.save(torch.export.export(module.eval(), (example,)), path)
    return normalised(open_source(path))


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return exported(Bert(), torch.zeros(1, 12, dtype=torch.int64), tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def residual_net(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return exported(ResidualNet(), torch.zeros(1, 3, 8, 8), tmp_path_factory.mktemp("cnn"))


@pytest.fixture
def feeds_of() -> Callable[[Program, int], dict[str, list[Feeds]]]:
    """Random inputs of every component."""

    def make(program: Program, count: int = 2) -> dict[str, list[Feeds]]:
        return {name: [seeded(program, name, seed) for seed in range(count)] for name in program.components}

    return make


@pytest.fixture
def fresh() -> Callable[[Program], Program]:
    return clone


@pytest.fixture
def equals_masked() -> Callable[..., None]:
    return assert_equals_masked
