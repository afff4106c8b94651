import re

import pytest

from tests.docs.conftest import ROOT, page_id, written_pages

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href|srcset)=\"([^\"]+)\"")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", written_pages(), ids=page_id)
def test_every_relative_link_resolves(page, generate):
    generated = {ROOT / "docs" / "reference" / name: make for name, make in generate.PAGES.items()}
    links = ["".join(pair) for pair in LINK.findall(CODE.sub("", page.read_text("utf-8")))]
    for link in links:
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target in generated or target.exists(), link
        if anchor:
            text = generated[target]() if target in generated else target.read_text("utf-8")
            assert anchor in anchors(text), link


def test_readme_links_only_to_files_of_the_repository(generate):
    assert "docs/reference/" not in (ROOT / "README.md").read_text("utf-8")


def test_every_page_is_in_the_navigation(generate):
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in written_pages()[1:]:
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in navigation
    for name in generate.PAGES:
        assert f": reference/{name}\n" in navigation
