import pytest

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder


def test_a_missing_folder(tmp_path):
    with pytest.raises(SourceError, match="does not exist") as caught:
        ModelFolder(tmp_path / "none")
    assert caught.value.exit_code == 2


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(SourceError, match="not a folder"):
        ModelFolder(tmp_path / "x")


def test_no_config(tmp_path):
    with pytest.raises(SourceError, match=r"no config\.json"):
        _ = ModelFolder(tmp_path).config


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000, "\x00"])
def test_a_damaged_config(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SourceError, match="JSON"):
        _ = ModelFolder(tmp_path).config


def test_a_large_file_is_refused_by_its_size(tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SourceError, match="larger than the limit"):
        _ = ModelFolder(tmp_path).config


def test_a_config_that_links_out_of_the_folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    (folder / "config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(SourceError, match="link points outside"):
        _ = ModelFolder(folder).config


def test_digest(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert ModelFolder(tmp_path).sha256("x") == expected


@pytest.mark.parametrize("name", ["x" * 300, "circle"])
def test_names_that_cannot_be_followed(tmp_path, name):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(SourceError, match="cannot be followed"):
        ModelFolder(tmp_path).file(name)
