from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from program.number_format import FORMAT_NAMES
from targets.devices.catalogue import device, devices
from targets.devices.device import UNEMULATED_FEATURES, Device, FormatPolicy
from targets.devices.device_table import figures

PUBLISHED = "Vendor data sheet, 2025"


def _values(name: str = "xiaomi-15") -> dict[str, Any]:
    values: dict[str, Any] = json.loads(device(name).model_dump_json())
    return values


def _changed(*path: str, value: object) -> Device:
    values = _values()
    section = values
    for part in path[:-1]:
        section = section[part]
    section[path[-1]] = value
    return Device.model_validate_json(json.dumps(values))


@pytest.mark.parametrize("name", [entry.id for entry in devices()])
def test_shipped_device_survives_a_round_trip(name: str) -> None:
    original = device(name)
    assert Device.model_validate_json(original.model_dump_json()) == original


@pytest.mark.parametrize("name", [entry.id for entry in devices()])
def test_every_figure_has_a_source_and_every_estimate_a_reason(name: str) -> None:
    found = dict(figures(device(name)))
    assert {"cpu.cores", "memory.ram", "memory.bandwidth", "budgets.tokens_per_second"} <= set(found)
    for key, value in found.items():
        assert value.source.strip() == value.source != "", key
        if value.is_estimate:
            assert len(value.source.removeprefix("estimate: ")) >= 20, key


@pytest.mark.parametrize("name", [entry.id for entry in devices()])
def test_token_budget_stays_below_what_the_memory_can_deliver(name: str) -> None:
    entry = device(name)
    least_bytes_per_token = {"high": 4.83e9, "mid": 2.8e9, "low": 1.3e9}[entry.tier]
    bound = entry.memory.bandwidth.value * 1e9 / least_bytes_per_token
    assert 0 < entry.budgets.tokens_per_second.value < bound


def test_fp8_is_native_only_where_the_tosa_extension_is() -> None:
    native = [entry.id for entry in devices() if entry.formats.npu.e4m3.support == "native"]
    assert native == ["arm-vgf-reference"]


def test_every_cpu_stores_fp8_and_decodes_it_in_the_kernel() -> None:
    for entry in devices():
        for name in ("e4m3", "e5m2"):
            policy = entry.formats.cpu.policy(name)
            assert (policy.support, policy.computes_in) == ("storage", "float32"), entry.id


def test_every_npu_rewrites_to_a_format_it_computes_in() -> None:
    for entry in devices():
        npu = entry.formats.npu
        for name in FORMAT_NAMES:
            policy = npu.policy(name)
            if policy.computes_in is not None:
                assert npu.policy(policy.computes_in).support == "native", (entry.id, name)


def test_formats_are_grouped_by_support() -> None:
    npu = device("xiaomi-15").formats.npu
    assert npu.supported_as("native") == ("float16", "int8", "int16", "int4")
    assert npu.supported_as("storage") == ("float32",)
    assert npu.supported_as("requantised") == ("e4m3", "e5m2")
    assert npu.supported_as("refused") == ("bfloat16",)


def test_a_device_cannot_be_changed() -> None:
    entry = device("xiaomi-15")
    with pytest.raises(ValidationError, match="frozen"):
        entry.tier = "high"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tier",), "medium", "'high', 'mid' or 'low'"),
        (("id",), "Xiaomi 15", "match pattern"),
        (("default",), 1, "valid boolean"),
        (("memory", "ram"), {"value": 12, "unit": "GB/s", "source": PUBLISHED}, "unit must be 'GiB'"),
        (("memory", "ram"), {"value": 0, "unit": "GiB", "source": PUBLISHED}, "greater than 0"),
        (("memory", "ram"), {"value": "12", "unit": "GiB", "source": PUBLISHED}, "valid"),
        (
            ("memory", "ram"),
            {"value": 4, "unit": "GiB", "source": PUBLISHED},
            "but the device has 4294967296",
        ),
        (("cpu", "features"), [], "at least 1 item"),
        (("cpu", "features"), ["i8mm"], "match pattern"),
        (("cpu", "triple"), "aarch64", "match pattern"),
        (("speed",), 9000, "not permitted"),
    ],
)
def test_wrong_value_is_refused(path: tuple[str, ...], value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _changed(*path, value=value)


@pytest.mark.parametrize("feature", UNEMULATED_FEATURES)
def test_feature_that_cannot_be_executed_here_is_refused(feature: str) -> None:
    with pytest.raises(ValidationError, match="cannot be executed by qemu-aarch64"):
        _changed("cpu", "features", value=[f"+{feature}"])
    assert _changed("cpu", "features", value=[f"-{feature}"]).cpu.features == (f"-{feature}",)


def test_policy_names_the_other_format_exactly_where_there_is_one() -> None:
    with pytest.raises(ValidationError, match="needs computes_in"):
        FormatPolicy(support="storage", reason="kept as it is")
    with pytest.raises(ValidationError, match="has no computes_in"):
        FormatPolicy(support="native", computes_in="float16", reason="computed as it is")


@pytest.mark.parametrize(
    "section", ["id", "name", "tier", "target", "kind", "soc", "cpu", "npu", "formats", "memory", "budgets"]
)
def test_missing_section_is_refused(section: str) -> None:
    values = _values()
    del values[section]
    with pytest.raises(ValidationError, match="Field required"):
        Device.model_validate_json(json.dumps(values))
