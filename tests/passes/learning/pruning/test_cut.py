"""A cut program computes what the original does with the same channels zeroed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from passes.core.errors import PassError
from passes.learning.pruning.cut import Kept, cut
from passes.learning.pruning.dependencies import Dependencies, Kind, analyse
from program.onnx_executor import OnnxExecutor
from program.program import Program

Tie = list[tuple[str, str]]
TIE: Tie = [
    ("vision_encoder", "image_embeddings"),
    ("embedding", "embeddings"),
    ("prefill", "inputs_embeds"),
    ("decode", "inputs_embeds"),
]


def choose(dependencies: Dependencies, *kinds: Kind, seed: int = 0) -> Kept:
    """Random channels of the groups of some kinds, in a random order."""
    rng = np.random.default_rng(seed)
    return {
        group.dimension: rng.permutation(group.size)[: max(1, group.size * 2 // 3)]
        for group in dependencies.groups
        if group.kind in kinds
    }


@pytest.mark.parametrize("kind", [Kind.FFN, Kind.HEADS, Kind.HIDDEN])
def test_qwen(qwen: Program, fresh: Callable, equals_masked: Callable, kind: Kind) -> None:
    program = fresh(qwen)
    dependencies = analyse(program, [TIE])
    kept = choose(dependencies, kind)
    assert len(kept) >= 2
    equals_masked(program, dependencies, kept)


@pytest.mark.parametrize("kind", [Kind.FFN, Kind.HEADS, Kind.HIDDEN, Kind.CONV])
def test_demo(demo: Program, fresh: Callable, equals_masked: Callable, kind: Kind) -> None:
    program = fresh(demo)
    dependencies = analyse(program)
    equals_masked(program, dependencies, choose(dependencies, kind))


def test_bert(bert: Program, fresh: Callable, equals_masked: Callable) -> None:
    for kinds in ((Kind.FFN, Kind.HEADS), (Kind.HIDDEN,)):
        program = fresh(bert)
        dependencies = analyse(program)
        kept = choose(dependencies, *kinds)
        assert len(kept) == (6 if Kind.FFN in kinds else 1)
        equals_masked(program, dependencies, kept)


def test_residual_net(residual_net: Program, fresh: Callable, equals_masked: Callable) -> None:
    for kind, count in ((Kind.CONV, 3), (Kind.HIDDEN, 1)):
        program = fresh(residual_net)
        dependencies = analyse(program)
        kept = choose(dependencies, kind)
        assert len(kept) == count
        equals_masked(program, dependencies, kept)


def test_everything_at_once_shrinks_every_weight(
    qwen: Program, fresh: Callable, equals_masked: Callable
) -> None:
    program = fresh(qwen)
    dependencies = analyse(program, [TIE])
    before = {
        name: value.const_value.size
        for component in program.components.values()
        for name, value in component.model.graph.initializers.items()
        if name.startswith("model.language_model.layers") and "_norm." not in name
    }
    equals_masked(program, dependencies, choose(dependencies, *Kind))
    after = program.components["decode"].model.graph.initializers
    assert before and all(
        after[name].const_value.size < size for name, size in before.items() if name in after
    )


def test_reordering_changes_nothing(demo: Program, fresh: Callable) -> None:
    program = fresh(demo)
    dependencies = analyse(program)
    rng = np.random.default_rng(1)
    kept = {
        group.dimension: rng.permutation(group.size) for group in dependencies.groups if not group.interface
    }
    feeds = {"pixels": rng.standard_normal((1, 1, 32, 64)).astype(np.float32)}
    expected = OnnxExecutor(demo.components["vision_encoder"].model)(feeds)["vision_summary"]
    cut(program, dependencies, kept)
    received = OnnxExecutor(program.components["vision_encoder"].model)(feeds)["vision_summary"]
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_unknown_channels_are_refused(demo: Program, fresh: Callable) -> None:
    program = fresh(demo)
    dependencies = analyse(program)
    group = dependencies.groups[0]
    with pytest.raises(PassError, match="cannot be kept"):
        cut(program, dependencies, {group.dimension: np.array([0, 0])})
    with pytest.raises(PassError, match="cannot be kept"):
        cut(program, dependencies, {group.dimension: np.array([group.size])})
