from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from program.errors import DiagnosticError
from targets.devices.catalogue import (
    default_device,
    device,
    devices,
    devices_of,
    find_device,
    format_profiles,
    load_device,
)
from targets.devices.device import TIERS, Target
from targets.errors import DeviceFileError, TargetError, UnknownDeviceError

SHIPPED = resources.files("targets").joinpath("devices")
TARGETS: tuple[Target, ...] = ("snapdragon", "mediatek", "arm", "apple")


def _file(folder: Path, *, old: str = "", new: str = "", name: str = "xiaomi-15") -> Path:
    text = SHIPPED.joinpath(f"{name}.toml").read_text("utf-8")
    assert old in text
    path = folder / "own.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def test_devices_are_sorted_and_named_after_their_files() -> None:
    ids = [entry.id for entry in devices()]
    assert ids == sorted(set(ids))
    assert ids == sorted(
        entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml")
    )


@pytest.mark.parametrize(
    ("name", "tier", "target", "model", "architecture"),
    [
        ("iphone-17-pro", "high", "apple", "A19 Pro", "apple-neural-engine"),
        ("galaxy-s25", "high", "snapdragon", "SM8750", "v79"),
        ("xiaomi-17", "high", "snapdragon", "SM8850", "v81"),
        ("vivo-x200", "high", "mediatek", "MT6991", "mdla5.5"),
        ("vivo-x300", "high", "mediatek", "MT6993", "npu-990"),
        ("xiaomi-15", "mid", "snapdragon", "SM8750", "v79"),
        ("poco-x6-pro", "mid", "mediatek", "MT6897", "npu-780"),
        ("oneplus-nord-4", "mid", "snapdragon", "SM7675", "v73"),
        ("rayneo-x3-pro", "low", "snapdragon", "AR1 Gen 1", "v73"),
        ("sa8295p-board", "low", "snapdragon", "SA8295P", "v68"),
        ("genio-720-board", "low", "mediatek", "MT8391", "mdla5.3"),
        ("cortex-a320-ethos-u85", "low", "arm", "edge-ai-platform", "ethos-u85-1024"),
    ],
)
def test_shipped_device(name: str, tier: str, target: str, model: str, architecture: str) -> None:
    entry = device(name)
    assert (entry.tier, entry.target, entry.soc.model, entry.npu.architecture) == (
        tier,
        target,
        model,
        architecture,
    )


def test_every_snapdragon_names_the_compilers_soc_model() -> None:
    numbers = {entry.id: entry.soc.soc_model for entry in devices_of(target="snapdragon")}
    assert all(number is not None and number.value.isdigit() for number in numbers.values())


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("xiaomi15", "xiaomi-15"), ("Galaxy S25", "galaxy-s25"), ("vivo_x30", "vivo-x300")],
)
def test_unknown_device_offers_the_closest_ids(name: str, suggested: str) -> None:
    with pytest.raises(UnknownDeviceError) as caught:
        device(name)
    assert caught.value.exit_code == 2
    assert caught.value.received == name
    assert suggested in caught.value.remedy


def test_unknown_device_lists_all_ids_where_none_is_close() -> None:
    with pytest.raises(UnknownDeviceError) as caught:
        device("?")
    assert all(entry.id in caught.value.remedy for entry in devices())


def test_errors_are_target_errors() -> None:
    assert issubclass(UnknownDeviceError, TargetError)
    assert issubclass(DeviceFileError, TargetError)
    assert issubclass(TargetError, DiagnosticError)
    assert TargetError.exit_code == 3


def test_devices_of_filters_by_tier_and_target() -> None:
    assert devices_of() == devices()
    assert [entry.id for entry in devices_of("mid", "snapdragon")] == ["oneplus-nord-4", "xiaomi-15"]
    assert {entry.tier for entry in devices_of("low")} == {"low"}
    assert devices_of("low", "apple") == ()


def test_each_pair_of_tier_and_target_has_one_default() -> None:
    for tier in TIERS:
        for target in TARGETS:
            group = devices_of(tier, target)
            assert sum(entry.default for entry in group) == min(1, len(group)), (tier, target)
            if group:
                assert default_device(tier, target) in group


def test_default_device_of_a_pair_without_devices_names_the_tiers_there_are() -> None:
    with pytest.raises(UnknownDeviceError) as caught:
        default_device("low", "apple")
    assert caught.value.exit_code == 2
    assert "apple has devices of tier high" in caught.value.remedy


def test_own_device_with_profiles_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path, old='id = "xiaomi-15"', new='id = "our-phone"')
    entry = load_device(path)
    assert entry.id == "our-phone"
    assert entry.formats == device("xiaomi-15").formats
    assert find_device(str(path)) == entry
    assert find_device("xiaomi-15") == device("xiaomi-15")


def test_own_device_may_write_its_formats_out(tmp_path: Path) -> None:
    profile = tomllib.loads(SHIPPED.joinpath("formats", "hexagon-fp16.toml").read_text("utf-8"))
    tables = "\n".join(
        f"[formats.npu.{name}]\n" + "\n".join(f'{key} = "{value}"' for key, value in policy.items())
        for name, policy in profile.items()
    )
    path = _file(tmp_path, old='npu = "hexagon-fp16"\n')
    path.write_text(path.read_text("utf-8") + tables, "utf-8")
    assert load_device(path).formats == device("xiaomi-15").formats


@pytest.mark.parametrize(
    ("old", "new", "key", "message", "received", "remedy"),
    [
        ('tier = "mid"', 'tier = "medium"', "tier", "'high', 'mid' or 'low'", "medium", "correct"),
        ('tier = "mid"\n', "", "tier", "Field required", "nothing", "add the key"),
        ("cores = {", "coers = {", "cpu.cores", "Field required", "nothing", "add the key"),
        (
            'kind = "phone"',
            'kind = "phone"\ncolour = "red"',
            "colour",
            "not permitted",
            "red",
            "allowed here: id",
        ),
        ("triple =", 'mattr = "x"\ntriple =', "cpu.mattr", "not permitted", "x", "features"),
        ("value = 84.8", "value = nan", "memory.bandwidth.value", "finite number", "nan", "correct"),
        ("value = 84.8", "value = 2024-01-01", "memory.bandwidth.value", "valid", "2024", "correct"),
        ('npu = "hexagon-fp16"', 'npu = "hexagon"', "formats.npu", "no such", "hexagon", "hexagon-fp16"),
        ('npu = "hexagon-fp16"', 'npu = "../xiaomi-15"', "formats.npu", "no such", "../xiaomi-15", "aarch64"),
    ],
)
def test_fault_in_an_own_device_is_named(
    tmp_path: Path, old: str, new: str, key: str, message: str, received: str, remedy: str
) -> None:
    with pytest.raises(DeviceFileError) as caught:
        load_device(_file(tmp_path, old=old, new=new))
    error = caught.value
    assert error.exit_code == 2
    assert repr(key) in error.what
    assert message in error.what
    assert received in error.received
    assert remedy in error.remedy
    assert error.where.endswith("own.toml")


def test_misspelt_key_is_offered_the_right_one(tmp_path: Path) -> None:
    path = _file(tmp_path, old="[npu]", new="[npu]\nmemry = 1")
    with pytest.raises(DeviceFileError, match="did you mean 'memory'"):
        load_device(path)


def test_misspelt_key_inside_an_optional_table_is_explained(tmp_path: Path) -> None:
    path = _file(tmp_path, old='soc_model = { value = "69"', new='soc_model = { valu = 1, value = "69"')
    with pytest.raises(DeviceFileError, match="allowed here: source, value"):
        load_device(path)


def test_broken_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("id = \nname = 1\n", "utf-8")
    with pytest.raises(DeviceFileError, match="not valid TOML") as caught:
        load_device(path)
    assert caught.value.exit_code == 2
    assert "line 1" in caught.value.received


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeviceFileError, match="not valid TOML"):
        load_device(path)


def test_bottomless_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("id = " + "[" * 100_000, "utf-8")
    with pytest.raises(DeviceFileError, match="not valid TOML"):
        load_device(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceFileError, match="cannot read") as caught:
        find_device(str(tmp_path / "none.toml"))
    assert caught.value.received == "a file cannot be read: No such file or directory"


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceFileError, match="cannot read"):
        load_device(tmp_path)


def test_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(DeviceFileError, match="larger than the limit"):
        load_device(path)


def test_every_format_profile_is_used() -> None:
    text = "".join(entry.read_text("utf-8") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))
    assert [name for name in format_profiles() if f'"{name}"' not in text] == []


@pytest.mark.parametrize("name", [entry.id for entry in devices()])
def test_llvm_knows_the_cpu_features(name: str) -> None:
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    target = tvm.target.Target(device(name).cpu.llvm_target())
    has_feature = tvm.get_global_func("target.target_has_feature")
    # LLVM ignores an unknown feature with a line on stderr, so each is asked for by name.
    assert all(has_feature(feature.removeprefix("+"), target) for feature in device(name).cpu.features)
    assert not any(has_feature(feature, target) for feature in ("sme2", "fp8", "fp8dot4", "mops"))


@pytest.mark.parametrize("name", [entry.id for entry in devices()])
def test_format_profile_agrees_with_the_cpu_features(name: str) -> None:
    entry = device(name)
    features = set(entry.cpu.features)
    assert (entry.formats.cpu.bfloat16.support == "native") == ("+bf16" in features)
    assert (entry.formats.cpu.float16.support == "native") == ("+fullfp16" in features)


def test_a_device_file_needs_a_target_that_exists(tmp_path: Path) -> None:
    path = _file(tmp_path, old='target = "snapdragon"', new='target = "snapdragn"')
    with pytest.raises(DeviceFileError) as caught:
        load_device(path)
    assert caught.value.received == "snapdragn"
    assert "snapdragon" in caught.value.remedy
