from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from targets.devices.figure import Bytes, Figure, Gibibytes

PUBLISHED = "Vendor data sheet, 2025"


@pytest.mark.parametrize("source", ["", "the internet", "estimate:", "estimate: because", "estimate"])
def test_source_without_a_year_or_a_reason_is_refused(source: str) -> None:
    with pytest.raises(ValidationError, match="source"):
        Figure(value=1, unit="GiB", source=source)


@pytest.mark.parametrize(
    ("source", "estimate"),
    [
        (PUBLISHED, False),
        ("measured with ethos-u-vela 5.2.0", False),
        ("estimate: LPDDR5 at 6400 MT/s x 32 bit / 8", True),
    ],
)
def test_source_tells_a_citation_from_an_estimate(source: str, estimate: bool) -> None:
    assert Figure(value=1, unit="GiB", source=source).is_estimate is estimate


def test_bytes_are_whole_numbers() -> None:
    adapter = TypeAdapter(Bytes)
    assert (
        adapter.validate_python({"value": 1 << 33, "unit": "B", "source": PUBLISHED}).value == 8_589_934_592
    )
    with pytest.raises(ValidationError, match="valid integer"):
        adapter.validate_python({"value": 1.5, "unit": "B", "source": PUBLISHED})


def test_unit_of_a_quantity_is_checked() -> None:
    with pytest.raises(ValidationError, match="the unit must be 'GiB', not 'KiB'"):
        TypeAdapter(Gibibytes).validate_python({"value": 1, "unit": "KiB", "source": PUBLISHED})


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "12", True])
def test_value_is_a_positive_finite_number(value: object) -> None:
    with pytest.raises(ValidationError):
        Figure.model_validate({"value": value, "unit": "GiB", "source": PUBLISHED})
