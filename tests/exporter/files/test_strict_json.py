import pytest

from exporter.files.strict_json import parse_json


def test_ordinary_documents_pass():
    text = '{"a": [1, -2.5e3, true, null, "é\\ud83d\\ude42"], "model_max_length": 1000000000000000019884624838656}'
    value = parse_json(text.encode())
    assert value["a"] == [1, -2500.0, True, None, "é🙂"] and value["model_max_length"] == int(1e30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NaN", "no JSON number"),
        ("[-Infinity]", "no JSON number"),
        ("1e999", "too large"),
        ("9" * 39, "too large"),
        ("-" + "9" * 39, "too large"),
        ("[" * 100_000, "nested too deeply"),
        ('"\\ud800"', "surrogates"),
        ('{"\\uDFFF": 1}', "surrogates"),
        ('{"a": 1, "b": 2, "a": 3}', "two entries are called 'a'"),
        ("{", "Expecting"),
    ],
)
def test_what_no_reader_expects_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(text.encode())


def test_a_million_names_are_counted_quickly():
    names = ",".join(f'"{number}":0' for number in range(200_000))
    with pytest.raises(ValueError, match="'7'"):
        parse_json(f'{{{names},"7":1}}'.encode())


def test_what_is_no_text():
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b"\xff\xfe{}")
