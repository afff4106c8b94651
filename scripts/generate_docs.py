"""Writes the reference pages and refreshes the generated blocks of the hand-written ones.

`python scripts/generate_docs.py` writes docs/reference/ and every block between `<!-- generated: KIND ARGUMENT -->` and
`<!-- end -->`. tests/docs checks that the committed blocks are up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from docs_generator.bundled_model import bundled_model_page
from docs_generator.catalogue import devices_page, devices_table, formats_page, precision_table
from docs_generator.commands import commands_page, options_table
from docs_generator.schema import gates_table, recipe_page, schema_page
from docs_generator.snapdragon import htp_socs_table

from npuc.artifact.manifest import Manifest
from targets.devices.device import Device

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"

_BLOCK = re.compile(r"(<!-- generated: (\w+)(?: ([^\n]*?))? -->)\n.*?<!-- end -->", re.DOTALL)
_LANGUAGES = {".py": "python", ".toml": "toml", ".c": "c"}
_MANIFEST_INTRO = "The records of `manifest.json`; `npuc inspect --json` prints them for an artifact."
_DEVICE_FILE_INTRO = (
    "The keys of a device file, for `--device my-device.toml`. `formats.cpu` and `formats.npu` may also be the name"
    " of a profile that npuc ships."
)


def include(path: str) -> str:
    """Returns a file of the repository as a fenced block."""
    return f"```{_LANGUAGES[Path(path).suffix]}\n{(ROOT / path).read_text('utf-8')}```\n"


BLOCKS: Mapping[str, Callable[..., str]] = {
    "options": options_table,
    "precision": precision_table,
    "devices": devices_table,
    "gates": gates_table,
    "htp_socs": htp_socs_table,
    "include": include,
}
"""Kinds of generated blocks in hand-written pages."""

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "recipe.md": recipe_page,
    "manifest.md": lambda: schema_page("Manifest reference", _MANIFEST_INTRO, Manifest),
    "devices.md": devices_page,
    "device-file.md": lambda: schema_page("Device file reference", _DEVICE_FILE_INTRO, Device),
    "formats.md": formats_page,
    "bundled-model.md": bundled_model_page,
}
"""Pages of docs/reference/."""


def refreshed(text: str) -> str:
    """Returns a page with its generated blocks written anew."""

    def block(match: re.Match[str]) -> str:
        opening, kind, argument = match.groups()
        content = BLOCKS[kind](*([argument] if argument else []))
        return f"{opening}\n\n{content.strip()}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def written_pages() -> list[Path]:
    """Returns README.md and the hand-written pages of docs/."""
    return [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if page.parent != REFERENCE)]


def write_reference(folder: Path) -> None:
    """Writes the reference pages."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")


def main() -> None:
    """Writes everything."""
    write_reference(REFERENCE)
    for path in written_pages():
        text = path.read_text("utf-8")
        if refreshed(text) != text:
            path.write_text(refreshed(text), "utf-8")


if __name__ == "__main__":
    main()
