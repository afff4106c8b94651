import dataclasses
import json
import wave

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from exporter.families.registry import FAMILIES
from exporter.files.model_folder import ModelFolder
from npuc.demo import demo_folder
from passes.learning.distillation.objective import LossWeights
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.qwen3_vl_task import build_task, qwen3_vl_stream
from passes.learning.distillation.run import distill
from passes.learning.distillation.student import checkpoint_reader
from passes.learning.distillation.student_folder import RECORD_FILE
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.data.color_jitter import ColorJitter
from passes.learning.training.data.strength_schedule import StrengthSchedule
from passes.learning.training.errors import TrainingError
from passes.learning.training.options import TrainingOptions
from program.onnx_executor import OnnxExecutor
from tests.captures import QWEN_OPTIONS

DEMO = DistillOptions(TrainingOptions(steps=3, learning_rate=3e-3), batch_size=2, held_out=1)


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    pass


@pytest.fixture
def qwen(tiny_qwen_folder):
    return tiny_qwen_folder


def test_the_students_folder_is_a_model_of_a_quarter_of_the_size(tmp_path):
    record = distill(demo_folder(), tmp_path / "student", DEMO)
    assert record["student"]["params"] / record["teacher"]["params"] == pytest.approx(0.25, abs=0.005)
    assert json.loads((tmp_path / "student" / RECORD_FILE).read_text()) == record
    assert (tmp_path / "student" / "distillation_loss.svg").is_file()
    tensors = load_file(tmp_path / "student" / "model.safetensors")
    assert sum(tensor.numel() for tensor in tensors.values()) == record["student"]["params"]
    assert (tmp_path / "student" / "calibration.safetensors").is_file()


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path):
    whole = distill(demo_folder(), tmp_path / "whole", DEMO)
    training = dataclasses.replace(DEMO.training, checkpoints=tmp_path / "checkpoints", checkpoint_every=1)

    def kill(point):
        if point.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(demo_folder(), tmp_path / "again", dataclasses.replace(DEMO, training=training), kill)
    resumed = distill(demo_folder(), tmp_path / "again", dataclasses.replace(DEMO, training=training))
    assert resumed == whole
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "again")]
    assert weights[0] == weights[1]


def test_training_on_sequences_equals_the_captured_graphs(qwen, tiny_qwen):
    """The task that is trained and the ONNX program give the same first token and the same logits."""
    folder, program = ModelFolder(qwen), tiny_qwen
    task = build_task(folder.config, folder, QWEN_OPTIONS)
    task.load(checkpoint_reader(folder))
    batch = next(iter(qwen3_vl_stream(folder, None, 1, 0, QWEN_OPTIONS)))
    with torch.no_grad():
        logits = task.eval()(batch).logits[-1].numpy()
    captured = {}

    def recording(executor):
        def run(feeds):
            outputs = executor(feeds)
            captured.update(outputs)
            return outputs

        return run

    executors = {name: recording(OnnxExecutor(part.model)) for name, part in program.components.items()}
    runner = FAMILIES["qwen3_vl"].runner(
        program.settings, program.assets, {name: part.inputs for name, part in program.components.items()}
    )
    index = next(
        i for i, r in enumerate(program.requests) if np.array_equal(runner.encode(r), batch["ids"][0].numpy())
    )
    patches = batch["patches"].numpy()
    fitting = [r for r in program.requests[index:] if _same_picture(runner, r, patches)]
    next(iter(runner.tokens(executors, fitting[0], 1)))
    np.testing.assert_allclose(captured["logits"][0], logits, rtol=1e-4, atol=1e-4)


def _same_picture(runner, request, patches):
    from exporter.preprocessing.image import patches as cut

    return np.allclose(cut(request.image, runner._layout), patches[0])


def test_qwen_learns_from_a_manifest_with_cached_top_logits(qwen, tmp_path):
    rng = np.random.default_rng(0)

    for index in range(3):
        Image.fromarray(rng.integers(0, 255, (64, 96, 3), np.uint8)).save(tmp_path / f"{index}.png")
    lines = [
        {"image": f"{i}.png", "text": "What colour is it?", "answer": answer}
        if i < 3
        else {"text": "Name a tool."}
        for i, answer in enumerate(["red", "green", "blue", ""])
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    options = DistillOptions(
        TrainingOptions(steps=8, learning_rate=3e-3),
        params="50%",
        largest_share=0.5,
        weights=LossWeights(attention=0.1),
        data=tmp_path / "data.jsonl",
        batch_size=2,
        cache=tmp_path / "teacher",
        top_logits=16,
        held_out=2,
        shapes=QWEN_OPTIONS,
    )
    losses = []
    record = distill(qwen, tmp_path / "student", options, lambda point: losses.append(point))
    assert record["training"]["accumulation"] == 2
    assert set(losses[0].terms) == {"task", "logits", "hidden", "attention"}
    assert losses[-1].loss < losses[0].loss
    assert len(list((tmp_path / "teacher").iterdir())) == 4, "one file for each example"
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["vision_config"]["out_hidden_size"] == config["text_config"]["hidden_size"]
    student = ModelFolder(tmp_path / "student")
    build_task(config, student, QWEN_OPTIONS).load(checkpoint_reader(student))


def test_losses_without_any_weight_are_refused():
    with pytest.raises(TrainingError, match="weights of the distillation losses"):
        LossWeights(0, 0, 0, 0)


def test_qwen_learns_from_augmented_pictures(qwen, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (tmp_path / "train.jsonl").write_text(json.dumps({"image": "a.png", "text": "what?", "answer": "noise"}))
    schedule = StrengthSchedule(0.0, 1.0, first_step=1, last_step=2)
    augmenter = Augmenter(image=(ColorJitter(),), schedules={"image": schedule})

    def batches(count, augmenter=None, state=None):
        stream = qwen3_vl_stream(ModelFolder(qwen), tmp_path / "train.jsonl", 1, 0, QWEN_OPTIONS, augmenter)
        if state is not None:
            stream.load_state_dict(state)
        return [next(stream)["patches"] for _ in range(count)], stream.state_dict()

    (plain,), _ = batches(1)
    seen, _ = batches(4, augmenter)
    assert [bool(torch.equal(patches, plain)) for patches in seen] == [True, True, False, False]
    _, state = batches(3, augmenter)
    assert torch.equal(batches(1, augmenter, state)[0][0], seen[3])


def test_the_bundled_model_augments_by_itself(tmp_path):
    options = dataclasses.replace(DEMO, augmenter=Augmenter())
    with pytest.raises(TrainingError, match="by itself"):
        distill(demo_folder(), tmp_path / "student", options)


def test_qwen_takes_no_sounds(qwen, tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(160))
    (tmp_path / "train.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "what?"}))
    with pytest.raises(TrainingError, match="does not take"):
        next(qwen3_vl_stream(ModelFolder(qwen), tmp_path / "train.jsonl", 1, 0, QWEN_OPTIONS))
