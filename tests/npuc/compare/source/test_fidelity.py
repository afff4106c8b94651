import pytest

from npuc.artifact.manifest import Agreement, ComponentRecord, SegmentRecord
from npuc.compare.records import NOT_FINITE, PrecisionRecord, RewriteRecord, SourceRecord
from npuc.compare.source.fidelity import fidelity_notes, fidelity_rows


def precision(**changes):
    values = {
        "samples": 2, "output": "y", "sqnr": 31.25, "decisions": 0, "top": None, "divergence": None,
        "bound": "SQNR >= 10 dB", "passed": True,
    }  # fmt: skip
    return PrecisionRecord(**values | changes)


def segment(**changes):
    agreement = {
        "executed": True, "samples": 2, "max_relative_error": 0.0, "sqnr": None, "passed": True,
        "bound": {"min_sqnr": 10},
    }  # fmt: skip
    return SegmentRecord(
        name="model", processor="cpu", reference="model/model.onnx", weights=None, inputs=(), outputs=(), nodes=1,
        triple="t", features=(), files=(), executable=None, emulator=(), arena_bytes=0, weight_bytes=0, code_bytes=0,
        kernels=0, policy={}, note="", remarks=(), binding={}, agreement=Agreement(**agreement | changes),
    )  # fmt: skip


def component(source, *segments):
    return ComponentRecord(
        name="model", role="model", modality="text", reference="model/model.onnx", inputs=(), outputs=(), layers=(),
        source=source, segments=segments or (segment(),),
    )  # fmt: skip


@pytest.fixture
def row(manifest):
    def make(source, *segments):
        (made,) = fidelity_rows(manifest.model_copy(update={"components": (component(source, *segments),)}))
        return made

    return make


REWRITES = RewriteRecord(samples=3, max_relative_error=2.04e-7, bound=1e-4)


def test_one_line_from_the_model_to_the_binary(row):
    made = row(SourceRecord(method="torch in eager mode", rewrites=REWRITES, precision=precision()))
    assert (made.source, made.rewritten, made.final, made.binary) == (
        "torch in eager mode",
        "2.0e-07",
        "31.2 dB",
        "exact",
    )
    assert made.verdict == ""


def test_what_was_not_compared_is_said_in_words(row):
    made = row(SourceRecord(missing="transformers is not installed"))
    assert made.source == "not compared: transformers is not installed"
    assert (made.rewritten, made.final) == ("", "not compared")


def test_decisions_come_with_their_number_and_divergence(row):
    made = row(SourceRecord(method="m", precision=precision(decisions=48, top=0.975, divergence=0.0123)))
    assert made.decisions == "98% of 48, KL 0.01"


@pytest.mark.parametrize(
    ("accepted", "passed", "verdict"),
    [(False, False, "LOST"), (True, False, "loss accepted"), (False, True, "")],
)
def test_a_loss_is_marked(row, accepted, passed, verdict):
    record = precision(sqnr=NOT_FINITE, passed=passed, accepted=accepted)
    made = row(SourceRecord(method="m", precision=record))
    assert made.verdict == verdict
    assert made.final == "not finite"


def test_a_binary_that_fails_is_marked_whatever_the_precision(row):
    made = row(SourceRecord(method="m", precision=precision()), segment(passed=False, sqnr=3.0))
    assert (made.verdict, made.binary) == ("FAILED", "3.0 dB")


def test_the_worst_part_stands_for_the_binaries(row):
    made = row(SourceRecord(method="m"), segment(), segment(sqnr=50.0), segment(sqnr=40.0))
    assert made.binary == "40.0 dB"
    assert row(SourceRecord(method="m"), segment(executed=False, passed=False)).binary == "not executed"


def test_notes_say_what_a_reader_has_to_know(manifest):
    record = SourceRecord(
        method="m",
        rewrites=REWRITES.model_copy(update={"bound": 2e-2, "reason": "the source computes in float16"}),
        precision=precision(passed=False, lost_at="node n (Mul): 3.0 dB", edges=("floats are 1",)),
        precision_against="the trained float program",
    )
    notes = fidelity_notes(manifest.model_copy(update={"components": (component(record),)}))
    assert notes == [
        "model: final: compared with the trained float program",
        "model: rewritten: held to 2.0e-02, because the source computes in float16",
        "model: final: output y: 31.2 dB; not finite where floats are 1; bound: SQNR >= 10 dB; node n (Mul): 3.0 dB",
    ]
