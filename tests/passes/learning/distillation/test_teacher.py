import pytest
import torch

from exporter.families.multimodal_transformer.layers import EncoderBlock
from passes.learning.distillation.losses import TopLogits
from passes.learning.distillation.observe import observing
from passes.learning.distillation.task import Prediction, Task
from passes.learning.distillation.teacher import CachedTeacher, OnlineTeacher


class Tiny(Task):
    def __init__(self):
        torch.manual_seed(0)
        network = torch.nn.ModuleDict(
            {
                "blocks": torch.nn.ModuleList([EncoderBlock(8, 2, 16) for _ in range(2)]),
                "head": torch.nn.Linear(8, 6),
            }
        )
        super().__init__(network)
        self.calls = 0

    def forward(self, batch):
        self.calls += 1
        hidden = batch["x"]
        for block in self.network["blocks"]:
            hidden = block(hidden)
        logits = self.network["head"](hidden).flatten(0, 1)
        return Prediction(logits, torch.zeros(len(logits), dtype=torch.int64))


BATCH = {"x": torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))}
PATHS = ["blocks.0", "blocks.1"]


def test_layers_are_observed_in_the_order_of_their_computation():
    task = Tiny()
    with observing(task.network, PATHS, attention=True) as seen:
        task(BATCH)
    assert [tuple(seen.hidden[path].shape) for path in PATHS] == [(2, 3, 8)] * 2
    assert [tuple(maps.shape) for path in PATHS for maps in seen.attention[path]] == [(2, 2, 3, 3)] * 2
    torch.testing.assert_close(seen.attention["blocks.1"][0].sum(-1), torch.ones(2, 2, 3))
    torch.testing.assert_close(seen.hidden["blocks.1"], task.network["blocks"][1](seen.hidden["blocks.0"]))


@pytest.mark.parametrize("top", [0, 3])
def test_cached_outputs_are_those_computed(tmp_path, top):
    task = Tiny()
    online = OnlineTeacher(task, PATHS, hidden=True, attention=True)
    cached = CachedTeacher(online, tmp_path, top, 2.0)
    first, again, expected = cached(BATCH), cached(BATCH), online(BATCH)
    assert task.calls == 2, "once for the cache, once for the expectation"
    for outputs in (first, again):
        if top:
            assert isinstance(outputs.logits, TopLogits)
            torch.testing.assert_close(
                outputs.logits.values, expected.logits.topk(3).values.half(), check_dtype=False
            )
        else:
            torch.testing.assert_close(outputs.logits.float(), expected.logits, rtol=1e-3, atol=1e-3)
        for path in PATHS:
            torch.testing.assert_close(
                outputs.hidden[path].float(), expected.hidden[path], rtol=1e-3, atol=1e-2
            )
            assert len(outputs.attention[path]) == 1


def test_other_batches_and_damaged_files_are_computed_again(tmp_path):
    task = Tiny()
    cached = CachedTeacher(OnlineTeacher(task, [], False, False), tmp_path, 0, 2.0)
    cached(BATCH)
    cached({"x": BATCH["x"] + 1})
    assert task.calls == 2 and len(list(tmp_path.iterdir())) == 2
    for path in tmp_path.iterdir():
        path.write_bytes(b"\xff" * 20)
    cached(BATCH)
    assert task.calls == 3


def test_the_teacher_is_frozen():
    task = Tiny()
    outputs = OnlineTeacher(task, [], False, False)(BATCH)
    assert not outputs.logits.requires_grad and not outputs.hidden
    assert not any(parameter.requires_grad for parameter in task.parameters())
