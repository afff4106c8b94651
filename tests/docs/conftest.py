import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^ *```(\w+)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def written_pages():
    return [
        ROOT / "README.md",
        *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.parent.name != "reference"),
    ]


def page_id(page):
    return str(page.relative_to(ROOT)) if isinstance(page, Path) else None


def fenced(language):
    """(page, text) of every fenced block of a language in the hand-written pages."""
    return [
        (page, text)
        for page in written_pages()
        for found, text in FENCE.findall(page.read_text("utf-8"))
        if found == language
    ]


@pytest.fixture(scope="session")
def generate():
    """The module scripts/generate_docs.py."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "scripts" / "generate_docs.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return module
