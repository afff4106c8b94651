import re
import shutil

import click
import pytest

from npuc.cli import cli
from npuc.settings.recipe import Recipe
from passes.pipeline import NORMALISATION, PASSES
from program.number_format import FORMAT_NAMES
from targets.devices.catalogue import devices
from targets.devices.figure import Section
from tests.docs.conftest import ROOT, page_id, written_pages


@pytest.mark.parametrize("page", written_pages(), ids=page_id)
def test_generated_blocks_are_up_to_date(page, generate):
    text = page.read_text("utf-8")
    assert generate.refreshed(text) == text, "run `make docs` and commit the result"


def test_a_stale_block_is_written_anew(generate):
    stale = "a\n<!-- generated: options doctor -->\nold\n<!-- end -->\nb\n"
    fresh = generate.refreshed(stale)
    assert "npuc doctor" in fresh
    assert "old" not in fresh
    assert fresh.startswith("a\n") and fresh.endswith("\nb\n")
    assert generate.refreshed(fresh) == fresh


def test_every_option_is_in_the_commands_page(generate):
    page = generate.PAGES["commands.md"]()
    context = click.Context(cli)
    for name in cli.list_commands(context):
        for item in cli.get_command(context, name).params:
            if isinstance(item, click.Option):
                assert all(f"`{name}`" in page for name in item.opts)


def test_every_recipe_key_is_described(generate):
    page = generate.PAGES["recipe.md"]()
    for name, field in Recipe.model_fields.items():
        assert f"| `{name}` |" in page
        assert field.description is None or field.description in page


def test_every_device_has_its_figures_with_sources(generate):
    page = generate.PAGES["devices.md"]()
    for device in devices():
        assert f"\n## {device.id}\n" in page
        assert device.memory.bandwidth.source in page
        assert isinstance(device, Section)


def test_the_matrix_has_a_row_for_every_processor(generate):
    matrix = generate.PAGES["formats.md"]().split("\n## ")[0]
    header, _, *rows = [line.split(" | ") for line in matrix.splitlines() if line.startswith("| ")]
    assert {cell.strip("| ") for cell in header[1:]} == set(FORMAT_NAMES)
    assert {row[0].strip("| ").partition(":")[0] for row in rows} == {
        "CPU",
        "snapdragon",
        "mediatek",
        "arm",
        "apple",
    }
    ethos = next(row for row in rows if "Ethos-U85" in row[0])
    assert ethos[1 + FORMAT_NAMES.index("e4m3")] == "requantised → int8"


def test_the_passes_page_lists_the_pipeline():
    page = (ROOT / "docs" / "concepts" / "passes-and-remarks.md").read_text("utf-8")
    table = page.split("## Normalisation")[1].split("## Precision")[0]
    assert [name for name in re.findall(r"`([a-z_0-9]+)`", table) if name in PASSES] == list(NORMALISATION)


def test_mkdocs_builds_strictly_and_needs_no_network(generate, tmp_path):
    config = pytest.importorskip("mkdocs.config")
    from mkdocs.commands.build import build

    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("reference"))
    generate.write_reference(tmp_path / "docs" / "reference")
    folders = {"docs_dir": str(tmp_path / "docs"), "site_dir": str(tmp_path / "site")}
    loaded = config.load_config(str(ROOT / "mkdocs.yml"), strict=True, **folders)
    build(loaded)
    html = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert 'src="https://' not in html
    assert not any('<link href="https://' in line for line in html.splitlines())
    assert not (tmp_path / "site" / "generate.py").exists()
