import json
import os
import subprocess
import sys
import tomllib

import pytest

from npuc.artifact.manifest import read_manifest
from tests.docs.conftest import ROOT

EXAMPLE = ROOT / "examples" / "add_an_accelerator"
BOARD = EXAMPLE / "mdla-board.toml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Installs the example into a folder of its own, as `pip install --target` would, and calls npuc with it."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    (folder / "npuc_mdla").symlink_to(EXAMPLE / "npuc_mdla")
    information = folder / f"npuc_mdla-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in rows.items()) for group, rows in points]
    (information / "entry_points.txt").write_text("\n".join(lines))
    environment = os.environ | {
        "NPUC_CACHE": str(tmp_path_factory.mktemp("cache")),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
    }

    def call(*arguments):
        command = [sys.executable, "-m", "npuc", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)

    return call


@pytest.fixture(scope="module")
def artifact(run, tmp_path_factory):
    """The bundled model, compiled for the board."""
    folder = tmp_path_factory.mktemp("out") / "mdla"
    done = run("compile", "demo", "--device", BOARD, "-o", folder)
    assert done.returncode == 0, done.stderr
    phases = [line.split()[0] for line in done.stderr.splitlines() if line]
    once = ("capture", "normalize", "store", "calibrate", "quantize", "specialize")
    assert {name: phases.count(name) for name in once} == dict.fromkeys(once, 1)
    return folder


def test_every_component_runs_on_it_in_its_own_format(artifact):
    for component in read_manifest(artifact).components:
        assert (component.npu.processor.split(", ")[0], component.npu.scheme) == ("mdla", "w8f32")
        assert {segment.processor for segment in component.segments} <= {"mdla", "cpu"}
        assert all(s.agreement.executed and s.agreement.passed for s in component.segments)


def test_what_it_refuses_runs_on_the_cpu(artifact):
    rows = json.loads((artifact / "coverage.json").read_text())["decode"]
    gathers = [row for row in rows if row["operator"] == "Gather"]
    assert gathers and all(row["on"] == "cpu" for row in gathers)
    assert all("the MDLA reads no tables" in row["reason"] for row in gathers)


def test_its_weights_take_a_byte_each(artifact):
    fusion = next(c for c in read_manifest(artifact).components if c.name == "fusion")
    assert fusion.npu.weight_bytes < 700_000  # of 590,000 bytes in FP8 and float16


def test_its_programs_verify_again(run, artifact):
    done = run("verify", artifact)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verified")


def test_a_damaged_program_is_refused(run, artifact):
    program = artifact / "mdla" / "fusion.mdla"
    content = program.read_bytes()
    program.write_bytes(b"x" + content)
    try:
        assert run("verify", artifact).returncode == 1
    finally:
        program.write_bytes(content)


def test_the_app_is_told_what_to_load(artifact):
    sessions = json.loads((artifact / "device" / "sessions.json").read_text())
    (entry,) = sessions["components"]["fusion"]
    assert (sessions["loader"], entry["program"]) == ("mdla", "mdla/fusion.mdla")
    assert "## Segments on the MDLA" in (artifact / "device" / "README.md").read_text()


def test_its_format_can_be_asked_for_and_no_other(run, tmp_path):
    known = run("coverage", "demo", "--device", BOARD, "--npu", "w8f32")
    assert known.returncode == 0 and "mdla" in known.stdout
    other = run("compile", "demo", "--device", BOARD, "--npu", "float16", "-o", tmp_path / "out")
    assert (other.returncode, "use one of w8f32" in other.stderr) == (3, True)
    unknown = run("compile", "demo", "--device", BOARD, "--npu", "w9f32", "-o", tmp_path / "out")
    assert (unknown.returncode, "w8f32" in unknown.stderr) == (2, True)
