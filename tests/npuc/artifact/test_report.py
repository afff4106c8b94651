from npuc.artifact.manifest import Budget
from npuc.artifact.report import write_report
from npuc.artifact.training_curves import QAT, SUBNETWORKS, write_curve
from passes.learning.training.loss_curve import DISTILLATION, LossCurve, LossPoint

STUDENT = {
    "student": {"params": 2, "dimensions": {"width": 1}},
    "teacher": {"params": 8, "dimensions": {"width": 4}},
    "agreement_with_teacher": {"before": 0.25, "after": 0.5},
}


def curve(first):
    points = (LossPoint(step, first / step, {"logits": first / step}, 1e-3, 1.0) for step in range(1, 21))
    return LossCurve(tuple(points))


def report(manifest, folder):
    write_report(manifest, folder)
    return (folder / "report.html").read_text()


def test_each_training_is_shown_under_its_heading(manifest, tmp_path):
    nested = (*manifest.subnetworks, manifest.subnetworks[0].model_copy(update={"name": "low_power"}))
    source = {**manifest.source, "distilled": STUDENT}
    for name, first in ((DISTILLATION, 2.0), (SUBNETWORKS, 4.0), (QAT, 8.0)):
        write_curve(curve(first), name, tmp_path)
    text = report(manifest.model_copy(update={"source": source, "subnetworks": nested}), tmp_path)
    assert text.startswith("<!doctype html>")
    sections = {part.split("</h2>")[0]: part for part in text.split("<h2>")[1:]}
    for heading, first in (
        ("Distilled student", 2),
        ("Sub-networks", 4),
        ("Fine-tuning after quantisation", 8),
    ):
        assert sections[heading].count("<svg") == 1
        assert f"20 steps, logarithmic: {first * 0.75:.4g} on average" in sections[heading]
    assert text.count("<svg") == 3


def test_without_training_there_is_no_curve(manifest, tmp_path):
    text = report(manifest, tmp_path)
    assert "<svg" not in text and "Fine-tuning" not in text


def test_an_estimated_budget_is_not_called_met(manifest, tmp_path):
    memory = Budget(name="memory", unit="B", value=1, limit=2, relation="at most", met=True, basis="as built")
    speed = memory.model_copy(update={"name": "first token", "estimated": True})
    slow = speed.model_copy(update={"name": "tokens", "met": False})
    text = report(manifest.model_copy(update={"budgets": (memory, speed, slow)}), tmp_path)
    rows = {budget.name: text.split(f"<td>{budget.name}</td>")[1] for budget in (memory, speed, slow)}
    verdicts = {name: row.split("<span")[1].split("</span>")[0] for name, row in rows.items()}
    assert verdicts == {
        "memory": ' class="ok">met',
        "first token": ' class="">possible',
        "tokens": ' class="no">not met',
    }
