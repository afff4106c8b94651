"""The layout that the documentation promises (docs/concepts/architecture.md)."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("program", "exporter", "passes", "targets", "npuc")
"""In the order of the data: a package imports itself and those before it."""

MOST_FILES = 20
VENDORS = re.compile(
    r"htp|hvx|qnn|snapdragon|qualcomm|hexagon|mediatek|\bneuron|\bethos|\bmali\b", re.IGNORECASE
)


def modules(*packages):
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_back_along_the_way_of_the_data(package):
    later = set(PACKAGES[PACKAGES.index(package) + 1 :])
    wrong = {str(path.relative_to(ROOT)): later & set(imported(path)) for path in modules(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_no_folder_has_more_files_than_one_looks_through():
    counts = Counter(path.parent for path in modules(*PACKAGES))
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_FILES} == {}


def test_no_vendor_is_named_before_the_targets():
    named = [
        path for path in modules("program", "exporter", "passes") if VENDORS.search(path.read_text("utf-8"))
    ]
    assert [str(path.relative_to(ROOT)) for path in named] == []


def test_a_vendor_is_named_in_its_own_folder_alone():
    shared = [*modules("targets/contract", "targets/placing", "targets/tvm"), *modules("npuc")]
    named = [path for path in shared if VENDORS.search(path.read_text("utf-8"))]
    registry = ROOT / "targets" / "contract" / "registry.py"  # names the built-in targets
    assert [str(path.relative_to(ROOT)) for path in named if path != registry] == []


def test_only_npuc_knows_the_bundled_model():
    users = [
        path
        for path in modules("program", "exporter", "passes", "targets")
        if "npuc.demo" in path.read_text()
    ]
    assert users == []
