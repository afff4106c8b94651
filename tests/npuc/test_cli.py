import json

import pytest

from npuc import cli
from npuc.commands import doctor as doctor_module
from npuc.doctor import Check


def test_help_lists_every_command(npuc):
    result = npuc("--help")
    assert result.code == 0
    for command in ("compile", "run", "verify", "inspect", "devices", "recipe", "doctor", "tools"):
        assert f"  {command} " in result.out


def test_unknown_command_and_option(npuc):
    assert npuc("compil").code == 2
    assert npuc("compile", "demo", "--devise", "x", "-o", "out").code == 2


def test_unknown_device_offers_the_closest(npuc, tmp_path):
    result = npuc("compile", "demo", "--device", "galaxy-s52", "-o", tmp_path / "out")
    assert result.code == 2
    assert "unknown device" in result.err
    assert "galaxy-s25" in result.err
    assert not (tmp_path / "out").exists()


def test_no_device_named(npuc, tmp_path):
    result = npuc("compile", "demo", "-o", tmp_path / "out")
    assert result.code == 2
    assert "--device" in result.err


def test_device_and_target_contradict(npuc, tmp_path):
    result = npuc("compile", "demo", "--device", "galaxy-s25", "--target", "mediatek", "-o", tmp_path / "out")
    assert result.code == 2
    assert "contradict" in result.err


def test_unknown_recipe_key(npuc, tmp_path):
    (tmp_path / "my.toml").write_text("[precision]\nvison = 'e4m3'\n")
    result = npuc("recipe", "check", tmp_path / "my.toml")
    assert result.code == 2
    assert "precision.vison" in result.err


def test_recipe_show_and_schema_are_json(npuc):
    assert json.loads(npuc("recipe", "show", "high").out)["precision"]["text"] == "e5m2"
    assert "precision" in json.loads(npuc("recipe", "schema").out)["properties"]


def test_devices_lists_tiers_and_targets(npuc):
    entries = json.loads(npuc("devices", "--json").out)
    assert {entry["tier"] for entry in entries} == {"high", "mid", "low"}
    assert {entry["target"] for entry in entries} == {"snapdragon", "mediatek", "arm", "apple"}
    table = npuc("devices").out
    assert all(entry["id"] in table for entry in entries)


def test_one_device_shows_sources(npuc):
    out = npuc("devices", "galaxy-s25").out
    assert "memory.bandwidth" in out
    assert "estimate" in out


def test_doctor_prints_the_command_that_mends(npuc, monkeypatch):
    missing = Check("qemu-aarch64", False, "not found", "sudo apt-get install -y qemu-user")
    monkeypatch.setattr(doctor_module, "run_checks", lambda: [missing])
    result = npuc("doctor")
    assert result.code == 4
    assert "sudo apt-get install -y qemu-user" in result.out


def test_doctor_finds_the_packages(npuc):
    assert "onnxruntime" in npuc("doctor").out


def test_no_memory_is_one_line(npuc, monkeypatch):
    def greedy():
        raise MemoryError

    monkeypatch.setattr(doctor_module, "run_checks", greedy)
    result = npuc("doctor")
    assert result.code == 4 and "not enough memory" in result.err


def test_internal_error_leaves_a_reproducer(npuc, monkeypatch, tmp_path):
    def broken():
        raise RuntimeError("bug")

    monkeypatch.setattr(doctor_module, "run_checks", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = npuc("doctor")
    assert result.code == cli.INTERNAL_ERROR == 70
    folder = next(tmp_path.glob("npuc-error-*"))
    assert str(folder) in result.err
    assert "RuntimeError: bug" in (folder / "traceback.txt").read_text()
    assert json.loads((folder / "command.json").read_text())["arguments"] == ["doctor"]


def test_not_an_artifact(npuc, tmp_path):
    for command in ("verify", "inspect", "run"):
        result = npuc(command, tmp_path)
        assert result.code == 1
        assert "not an artifact" in result.err


@pytest.mark.parametrize("command", ["verify", "inspect", "run"])
def test_an_artifact_of_another_version_is_refused(npuc, manifest, tmp_path, command):
    values = json.loads(manifest.model_dump_json()) | {"schema_version": 1, "npuc_version": "0.0.1"}
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    result = npuc(command, tmp_path)
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert "0.0.1" in result.err


def test_a_cache_that_is_no_folder_is_named(npuc, tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))
    result = npuc("compile", "demo", "--device", "vivo-x200", "-o", tmp_path / "out")
    assert result.code == 4
    assert "cannot write the cache" in result.err
    assert "NPUC_CACHE" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "demo", "--device", "vivo-x200", "-o", "LONG"),
        ("compile", "LONG.py:f", "--device", "vivo-x200", "-o", "out"),
        ("compile", "LONG.onnx", "--device", "vivo-x200", "-o", "out"),
        ("run", "LONG"),
    ],
)
def test_names_that_are_too_long(npuc, arguments):
    result = npuc(*(word.replace("LONG", "x" * 300) for word in arguments))
    assert result.code in (1, 2)
    assert "internal error" not in result.err
    assert len(result.err.splitlines()) <= 5
