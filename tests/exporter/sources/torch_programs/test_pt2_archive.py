"""A .pt2 archive is copied without what torch would unpickle."""

import io
import json
import zipfile

import pytest
import torch

from exporter.errors import ExportError, SourceError
from exporter.sources.torch_programs.pt2_archive import MAX_SAMPLE_BYTES, copy_archive
from tests.exporter.sources.torch_programs.pt2_files import rewrite, save_small


@pytest.fixture
def pt2(tmp_path):
    return save_small(tmp_path / "small.pt2")


def copied(path):
    target = path.with_name("copy.pt2")
    copy_archive(path, target)
    return target


def test_extra_entries_are_left_out(pt2):
    with zipfile.ZipFile(pt2, "a") as archive:
        archive.writestr("small/extra/notes.txt", "anything")
    with zipfile.ZipFile(copied(pt2)) as archive:
        assert not any("extra" in name for name in archive.namelist())
    torch.export.load(pt2.with_name("copy.pt2"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(pt2):
    with zipfile.ZipFile(pt2, "a") as archive:
        archive.writestr("small/models/model.json", "{}")
    with pytest.raises(SourceError, match="two entries"):
        copied(pt2)


def test_an_entry_outside_the_archives_folder_is_refused(pt2):
    with zipfile.ZipFile(pt2, "a") as archive:
        archive.writestr("other/data/weights/weight_9", b"")
    with pytest.raises(SourceError, match="own folder"):
        copied(pt2)


def test_a_weight_without_bytes_is_not_made_of_zeros(pt2):
    def huge(name, data):
        if name.endswith("weight_0"):
            return b""
        if not name.endswith("model_weights_config.json"):
            return None
        config = json.loads(data)
        config["config"]["layer.weight"]["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]
        return json.dumps(config).encode()

    with pytest.raises(SourceError, match=r"layer\.weight.*no bytes"):
        copied(rewrite(pt2, huge))


def _samples(samples):
    buffer = io.BytesIO()
    torch.save(samples, buffer)
    return buffer.getvalue()


def test_sample_inputs_that_claim_a_huge_size_are_refused(pt2):
    wide = torch.zeros(1).expand(MAX_SAMPLE_BYTES)
    with pytest.raises(ExportError, match="larger than 2 GiB"):
        copied(rewrite(pt2, lambda name, _: _samples(((wide,), {})) if name.endswith(".pt") else None))


def test_compressed_sample_inputs_are_refused(pt2):
    packed = io.BytesIO()
    plain = zipfile.ZipFile(io.BytesIO(_samples(((torch.ones(3),), {}))))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))
    with pytest.raises(SourceError, match="compressed"):
        copied(rewrite(pt2, lambda name, _: packed.getvalue() if name.endswith(".pt") else None))
