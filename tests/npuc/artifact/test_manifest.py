import json

import pytest

from npuc.artifact.manifest import Budget, read_manifest
from npuc.artifact.paths import MANIFEST_NAME
from npuc.errors import ArtifactError
from npuc.version import SCHEMA_VERSION


def test_round_trip(tmp_path, manifest):
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest


def test_no_manifest(tmp_path):
    with pytest.raises(ArtifactError, match="not an artifact") as caught:
        read_manifest(tmp_path)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("text", ["{", "[" * 100_000], ids=["unfinished", "deep"])
def test_not_json(tmp_path, text):
    (tmp_path / MANIFEST_NAME).write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
        read_manifest(tmp_path)


def test_another_version_is_named(tmp_path, manifest):
    values = manifest.model_dump(mode="json") | {"schema_version": SCHEMA_VERSION + 1, "npuc_version": "9.9"}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=r"another version of npuc \(9\.9\)") as caught:
        read_manifest(tmp_path)
    assert caught.value.exit_code == 1
    assert "install npuc 9.9" in str(caught.value)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_paths_that_leave_the_artifact_are_refused(tmp_path, manifest, path):
    values = manifest.model_dump(mode="json") | {"assets": [path]}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match="path leaves the artifact"):
        read_manifest(tmp_path)


def test_unknown_key_is_damage(tmp_path, manifest):
    values = manifest.model_dump(mode="json") | {"extra": 1}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match="extra"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("met", "estimated", "verdict"),
    [(True, False, "met"), (True, True, "possible"), (False, False, "not met"), (False, True, "not met")],
)
def test_an_estimate_of_the_best_case_can_only_rule_a_budget_out(met, estimated, verdict):
    budget = Budget(
        name="speed",
        unit="s",
        value=1,
        limit=2,
        relation="at most",
        met=met,
        basis="here",
        estimated=estimated,
    )
    assert budget.verdict == verdict
