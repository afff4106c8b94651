import pytest

from targets.devices.catalogue import devices_of
from targets.errors import TargetError
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.socs import find_htp_soc, htp_socs
from targets.tools.process import JobError


def test_a_chip_is_found_by_part_number_and_by_number():
    soc = find_htp_soc("sm8750")
    assert (soc.soc_model, soc.arch, soc.vtcm_mib, soc.float16) == (69, 79, 8, True)
    assert find_htp_soc("69") is soc


def test_numbers_and_names_are_unique():
    assert len({soc.soc_model for soc in htp_socs()}) == len(htp_socs())
    assert len({soc.model for soc in htp_socs()}) == len(htp_socs())


@pytest.mark.parametrize("name", ["SM8751", "99", "660", "v79", ""])
def test_an_unknown_chip_is_refused(name):
    with pytest.raises(TargetError, match="does not know") as caught:
        find_htp_soc(name)
    assert caught.value.exit_code == 3


def test_a_near_miss_is_offered():
    with pytest.raises(TargetError, match=r"did you mean.*SM8750"):
        find_htp_soc("SM875O")


def test_float16_is_used_only_where_the_compiler_takes_it_and_from_v69_on():
    for soc in htp_socs():
        assert soc.float16 == (soc.compiler_takes_float16 and soc.arch >= 69)


@pytest.mark.parametrize("device", devices_of(target="snapdragon"), ids=lambda device: device.id)
def test_the_device_catalogue_agrees(device):
    soc = find_htp_soc(device.soc.soc_model.value)
    assert device.npu.architecture == f"v{soc.arch}"
    if device.npu.memory is not None and soc.vtcm_mib is not None:
        assert device.npu.memory.value == soc.vtcm_mib * 1024
    assert (device.formats.npu.float16.support == "native") == soc.float16


@pytest.mark.parametrize("soc", htp_socs(), ids=lambda soc: soc.model)
def test_the_compiler_agrees(soc, tool, float16_block, int8_block, tmp_path):
    """The compiler prepares int8 for every chip, records its number, and takes float16 where the table says so."""
    recorded = prepare(int8_block, soc, tmp_path / "int8", environment=tool).compatibility
    assert recorded.split(":")[5] == str(soc.soc_model)
    if soc.compiler_takes_float16:
        assert prepare(float16_block, soc, tmp_path / "float16", environment=tool).size > 0
    else:
        with pytest.raises(JobError, match="refused"):
            prepare(float16_block, soc, tmp_path / "float16", environment=tool)
        assert not (tmp_path / "float16").exists()
