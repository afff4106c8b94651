from passes.float.auto_precision import auto_remarks, choose_formats
from passes.float.layer_error import LayerError
from program.number_format import Format


def error(weight, e4m3, e5m2, node="n"):
    return LayerError(node, weight, "text", {Format.E4M3: e4m3, Format.E5M2: e5m2})


def test_the_better_format_wins():
    chosen = choose_formats([error("a", 0.02, 0.04), error("b", 0.04, 0.03)], 0.05, Format.FLOAT16)
    assert {name: choice.format for name, choice in chosen.items()} == {"a": Format.E4M3, "b": Format.E5M2}
    assert chosen["a"].reason == "measured 0.0200 in e4m3, 0.0400 in e5m2"


def test_beyond_the_budget_a_layer_stays_in_the_base_format():
    chosen = choose_formats([error("a", 0.06, 0.08)], 0.05, Format.FLOAT16)
    assert chosen["a"].format is Format.FLOAT16
    assert "budget is 0.05" in chosen["a"].reason


def test_a_shared_weight_has_one_format():
    chosen = choose_formats(
        [error("a", 0.01, 0.03, "prefill"), error("a", 0.04, 0.03, "decode")], 0.05, Format.FLOAT16
    )
    assert chosen["a"].format is Format.E5M2


def test_remarks_hold_both_errors():
    errors = [error("a", 0.01, 0.03)]
    (remark,) = auto_remarks(errors, choose_formats(errors, 0.05, Format.FLOAT16))
    assert (remark.node, remark.modality, remark.what) == ("n", "text", "e4m3")
    assert remark.numbers == {"e4m3_relative_error": 0.01, "e5m2_relative_error": 0.03}
