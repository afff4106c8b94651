import importlib.metadata
import types

import pytest

from targets.contract import registry
from targets.contract.npu_format import A8W8, NpuFormat
from targets.devices.catalogue import find_device
from targets.errors import TargetError


class Accelerator:
    formats = (A8W8, NpuFormat("int8x", "8 bit", "8 bit"))

    def __init__(self, name):
        self.name = name


@pytest.fixture
def offer(monkeypatch):
    """Offers an accelerator as an installed package would."""

    def install(name, entry="mdla", value="offers:create"):
        made = types.SimpleNamespace(
            format_names=("a8w8", "int8x"),
            accelerator=lambda device: Accelerator(name) if device.id == "vivo-x200" else None,
            emulator=lambda: "an emulator",
        )
        point = importlib.metadata.EntryPoint(entry, value, registry.ACCELERATORS)
        monkeypatch.setattr(type(point), "load", lambda _self: lambda: made)
        found = importlib.metadata.EntryPoints([point])
        monkeypatch.setattr(registry, "entry_points", lambda **wanted: found.select(**wanted))

    return install


def test_a_package_adds_a_processor_to_the_devices_it_knows(offer):
    offer("mdla")
    assert [entry.name for entry in registry.device_accelerators(find_device("vivo-x200"))] == ["mdla"]
    assert registry.device_accelerators(find_device("iphone-17-pro")) == ()
    assert [entry.name for entry in registry.device_accelerators(find_device("galaxy-s25"))] == ["htp", "hvx"]


def test_its_emulator_and_its_formats_are_found(offer):
    offer("mdla")
    assert registry.find_emulator("mediatek", "mdla") == "an emulator"
    assert registry.find_emulator("mediatek", "npu9") is None
    assert registry.find_emulator("mediatek", "cpu") is None
    assert {"int8x", "float16", "a16w8", "hvx"} <= set(registry.npu_format_names())


@pytest.mark.parametrize("name", ["cpu", "model", "refused", "../x", "MDLA", "a b", "", "x" * 33, "device"])
def test_a_name_that_is_a_folder_of_the_artifact_or_none_at_all_is_refused(offer, name):
    offer(name)
    with pytest.raises(TargetError, match="cannot have this name"):
        registry.device_accelerators(find_device("vivo-x200"))


def test_a_processor_of_the_target_is_not_taken_over(offer, monkeypatch):
    offer("htp")
    monkeypatch.setattr(
        registry, "_offer", lambda _entry: types.SimpleNamespace(accelerator=lambda _d: Accelerator("htp"))
    )
    with pytest.raises(TargetError, match="cannot have this name"):
        registry.device_accelerators(find_device("galaxy-s25"))


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch):
    point = importlib.metadata.EntryPoint("mdla", "no_such_package:create", registry.ACCELERATORS)
    found = importlib.metadata.EntryPoints([point])
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: found.select(**wanted))
    with pytest.raises(TargetError, match="cannot be loaded") as caught:
        registry.device_accelerators(find_device("vivo-x200"))
    assert "no_such_package" in caught.value.where and "uninstall" in caught.value.remedy
