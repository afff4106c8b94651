"""What `npuc compile --data` says about data it cannot use, before any work."""

import json

import pytest

DEVICES = {
    "mid": ("--device", "xiaomi-15"),
    "low": ("--tier", "low", "--target", "arm"),
    "high": ("--device", "galaxy-s25", "--tier", "high", "--qat", "steps=1"),
}

FAULTS = {
    "none of this name": (None, "the training data does not exist"),
    "missing picture": ({"image": "none.png", "text": "x"}, "'none.png': a file is missing"),
    "wrong column": ({"picture": "a.png", "text": "x"}, "unknown key picture"),
    "outside the folder": ({"image": "../a.png", "text": "x"}, "points outside the folder"),
    "link out of the folder": ({"image": "link.png", "text": "x"}, "points outside the folder"),
}


@pytest.mark.parametrize("tier", DEVICES)
@pytest.mark.parametrize("fault", FAULTS)
def test_it_names_the_fault_and_the_line(npuc, tmp_path, tier, fault):
    entry, message = FAULTS[fault]
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "a.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "a.png")
    manifest = folder / "train.jsonl"
    if entry is not None:
        manifest.write_text(json.dumps({"text": "fine"}) + "\n" + json.dumps(entry))
    result = npuc(
        "compile", "demo", *DEVICES[tier], "--npu", "cpu", "--data", manifest, "-o", tmp_path / "out"
    )
    assert result.code == 2
    assert message in result.err
    assert f"{manifest}" in result.err and (entry is None or "line 2" in result.err)
    assert "capture" not in result.err and not (tmp_path / "out").exists()
