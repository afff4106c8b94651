import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from passes.learning.training.batches import DrawnStream
from passes.learning.training.checkpoint import newest_checkpoint
from passes.learning.training.errors import TrainingError
from passes.learning.training.options import TrainingOptions
from passes.learning.training.trainer import Trainer

OPTIONS = TrainingOptions(steps=12, learning_rate=1e-2, warmup_steps=2, accumulation=2, checkpoint_every=1)


class KilledError(Exception):
    pass


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 2, bias=False)
    )


def stream(seed=0):
    def draw(rng):
        x = torch.from_numpy(rng.standard_normal((16, 4)).astype(np.float32))
        return {"x": x, "y": torch.stack([x[:, 0] * x[:, 1], x.sum(1)], 1)}

    return DrawnStream(draw, seed)


def train(options, module=None, on_step=None, batches=None):
    module = module or network()

    def loss(batch):
        out = module(batch["x"])
        return {"fit": mse_loss(out, batch["y"]), "small": 0.01 * out.square().mean()}

    return Trainer(module, loss, batches or stream(), options, on_step).run(), module


def test_the_loss_falls_and_the_curve_names_its_terms():
    curve, module = train(dataclasses.replace(OPTIONS, steps=80))
    assert curve.mean(71, 80) < 0.6 * curve.mean(1, 10)
    assert curve.term_names() == ("fit", "small")
    point = curve.points[4]
    assert point.loss == pytest.approx(sum(point.terms.values()))
    assert not module.training


def test_repeats_itself_and_does_not_disturb_the_callers_random_numbers():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    module = network()
    torch.manual_seed(5)
    first, _ = train(OPTIONS, module)
    assert torch.equal(torch.rand(3), expected)
    assert train(OPTIONS)[0] == first
    assert train(dataclasses.replace(OPTIONS, seed=1))[0] != first


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_run_killed_at_any_step_ends_as_an_uninterrupted_one(tmp_path, precision):
    options = dataclasses.replace(OPTIONS, steps=4, precision=precision)
    expected, uninterrupted = train(options)
    for killed_after in (1, 2, 3):
        saved = dataclasses.replace(options, checkpoints=tmp_path / str(killed_after))

        def kill(point, last=killed_after):
            if point.step == last:
                raise KilledError

        with pytest.raises(KilledError):
            train(saved, on_step=kill)
        curve, module = train(saved, batches=stream())
        assert curve == expected
        for name, value in uninterrupted.state_dict().items():
            assert torch.equal(module.state_dict()[name], value), name


def test_steps_since_the_last_checkpoint_are_done_again(tmp_path):
    options = dataclasses.replace(OPTIONS, steps=5, checkpoint_every=2, checkpoints=tmp_path)

    def kill(point):
        if point.step == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(options, on_step=kill)
    assert newest_checkpoint(tmp_path).name == "step-000000002"
    assert train(options)[0] == train(dataclasses.replace(options, checkpoints=None))[0]


def test_a_finished_run_returns_its_curve_without_training(tmp_path):
    options = dataclasses.replace(OPTIONS, steps=3, checkpoints=tmp_path)
    steps = []
    curve, trained = train(options, on_step=steps.append)
    again, restored = train(options, on_step=steps.append)
    assert again == curve and len(steps) == 3
    assert torch.equal(restored[0].weight, trained[0].weight)


def test_accumulation_averages_over_batches():

    def draw(rng):
        x = torch.from_numpy(rng.standard_normal((4, 4)).astype(np.float32))
        return {"x": x, "y": x[:, :2]}

    def halves(position, part):
        batch = draw(np.random.default_rng([0, position]))
        return {name: tensor[2 * part : 2 * part + 2] for name, tensor in batch.items()}

    count = iter(range(1000))
    split = DrawnStream(lambda _: (lambda i: halves(i // 2, i % 2))(next(count)), 0)
    options = TrainingOptions(steps=6, learning_rate=1e-2)
    make = lambda: nn.Sequential(nn.Linear(4, 2))  # noqa: E731
    torch.manual_seed(0)
    whole, _ = train(options, make(), batches=DrawnStream(draw, 0))
    torch.manual_seed(0)
    parts, _ = train(dataclasses.replace(options, accumulation=2), make(), batches=split)
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-5)


def test_learning_rate_and_gradient_norm_are_those_of_the_formulas():
    options = dataclasses.replace(OPTIONS, steps=6, clip_norm=1e-3)
    curve, _ = train(options)
    rates = [point.learning_rate for point in curve.points]
    assert rates[:2] == [0.005, 0.01]
    assert rates[4] == pytest.approx(0.01 * 0.5 * (1 + np.cos(np.pi * 2 / 4)))
    assert all(point.gradient_norm > 1e-3 for point in curve.points)


def test_a_step_is_adamws():
    torch.manual_seed(0)
    module, other = nn.Linear(4, 2), nn.Linear(4, 2)
    other.load_state_dict(module.state_dict())
    options = TrainingOptions(steps=1, learning_rate=1e-2, weight_decay=0.3, clip_norm=0.1)
    train(options, module)
    batch = next(stream())
    out = other(batch["x"])
    (mse_loss(out, batch["y"]) + 0.01 * out.square().mean()).backward()
    nn.utils.clip_grad_norm_(other.parameters(), 0.1, error_if_nonfinite=True)
    groups = [{"params": [other.weight]}, {"params": [other.bias], "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.3, betas=(0.9, 0.95)).step()
    torch.testing.assert_close(module.weight, other.weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(module.bias, other.bias, rtol=1e-5, atol=1e-7)


def test_mixed_precision_computes_narrow_and_keeps_wide_weights():
    seen = []
    module = nn.Linear(4, 2)
    module.register_forward_hook(lambda _module, _inputs, out: seen.append(out.dtype))
    train(dataclasses.replace(OPTIONS, steps=2, precision="bfloat16"), module)
    assert set(seen) == {torch.bfloat16}
    assert module.weight.dtype == torch.float32


def test_float16_leaves_out_a_step_that_overflows():
    module = nn.Linear(4, 2)

    def loss(batch):
        return {"large": module(batch["x"]).float().sum() * 1e2}

    curve = Trainer(module, loss, stream(), TrainingOptions(steps=40, precision="float16")).run()
    assert curve.points[0].gradient_norm is None
    assert curve.points[-1].gradient_norm is not None


def test_a_loss_that_is_not_finite_names_the_step():
    module = nn.Linear(4, 2)
    with pytest.raises(TrainingError, match="diverged") as caught:
        Trainer(module, lambda b: {"bad": module(b["x"]).sum() / 0}, stream(), OPTIONS).run()
    assert "step 1 of 12" in caught.value.where


def test_other_options_do_not_continue_a_checkpoint(tmp_path):
    options = dataclasses.replace(OPTIONS, steps=2, checkpoints=tmp_path)
    train(options)
    with pytest.raises(TrainingError, match="other options") as caught:
        train(dataclasses.replace(options, learning_rate=2e-2))
    assert "learning_rate 0.01 before, 0.02 now" in caught.value.received


def test_another_module_or_stream_does_not_continue_a_checkpoint(tmp_path):
    options = dataclasses.replace(OPTIONS, steps=2, checkpoints=tmp_path)
    train(options)
    with pytest.raises(TrainingError, match="cannot be used"):
        train(options, nn.Linear(4, 2))
    with pytest.raises(TrainingError, match="data stream"):
        train(options, batches=stream(seed=1))


def test_a_module_without_parameters_is_refused():
    with pytest.raises(TrainingError, match="no parameter"):
        Trainer(nn.GELU(), lambda batch: {}, stream(), OPTIONS)
