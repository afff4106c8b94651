from __future__ import annotations

from targets.devices.catalogue import device, devices
from targets.devices.device_table import device_rows, figures


def test_rows_go_from_the_high_tier_to_the_low_one() -> None:
    rows = device_rows(devices())
    assert len(rows) == len(devices())
    assert [row.tier for row in rows] == sorted((row.tier for row in rows), key=["high", "mid", "low"].index)
    high = [row.id for row in rows if row.tier == "high"]
    assert high == sorted(high)


def test_row_states_the_facts_of_the_device() -> None:
    (row,) = device_rows([device("xiaomi-15")])
    assert (row.id, row.name, row.tier, row.target) == ("xiaomi-15", "Xiaomi 15", "mid", "snapdragon")
    assert row.soc == "Snapdragon 8 Elite (SM8750)"
    assert row.native_formats == ("float16", "int8", "int16", "int4")
    assert row.storage_formats == ("float32", "e4m3", "e5m2")
    assert row.ram_budget_gib == 5.0
    assert row.estimates == 4
    assert all(not source.startswith("estimate") for source in row.sources)
    assert list(row.sources) == sorted(set(row.sources))


def test_row_of_a_device_without_a_usable_npu_shows_its_cpu() -> None:
    (row,) = device_rows([device("iphone-17-pro")])
    assert "float32" in row.native_formats
    assert row.storage_formats == ("e4m3", "e5m2", "int4")


def test_figures_are_named_by_their_key_in_file_order() -> None:
    keys = [key for key, _ in figures(device("galaxy-s25"))]
    assert keys == [
        "soc.soc_model",
        "cpu.cores",
        "npu.memory",
        "memory.ram",
        "memory.bandwidth",
        "budgets.ram_bytes",
        "budgets.flash_bytes",
        "budgets.first_token_seconds",
        "budgets.tokens_per_second",
    ]
