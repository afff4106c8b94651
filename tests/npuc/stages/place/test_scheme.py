"""Which NPU processor a recipe's word chooses."""

import shutil

import pytest

from npuc.settings.recipe import Precision, Recipe
from npuc.stages.place.scheme import choose_accelerators, choose_format
from npuc.stages.place.several_devices import choose_processors
from targets.contract.registry import find_target
from targets.devices.catalogue import find_device
from targets.errors import TargetError, ToolError
from targets.snapdragon.hexagon import accelerator as hexagon


def _accelerators(device):
    return find_target("snapdragon").accelerators(find_device(device))


def _recipe(npu):
    return Recipe(precision=Precision(npu=npu))


@pytest.mark.parametrize(
    ("npu", "names"), [("auto", ["htp", "hvx"]), ("a16w8", ["htp", "hvx"]), ("hvx", ["hvx"])]
)
def test_the_word_names_the_first_processor(npu, names):
    chosen = choose_accelerators(_recipe(npu), _accelerators("galaxy-s25"))
    assert [entry.name for entry in chosen] == names


def test_without_accelerators_there_is_none():
    assert choose_accelerators(_recipe("hvx"), ()) == ()


def test_vector_units_start_with_v73():
    assert [entry.name for entry in _accelerators("rayneo-x3-pro")] == ["htp", "hvx"]
    assert [entry.name for entry in _accelerators("sa8295p-board")] == ["htp"]
    assert not hexagon.has_vector_units("mdla5.5")


def test_a_missing_cross_compiler_is_named(monkeypatch):
    monkeypatch.setattr(hexagon, "require_emulator", lambda command: None)
    monkeypatch.setattr(hexagon.importlib.util, "find_spec", lambda name: None)
    device = find_device("galaxy-s25")
    with pytest.raises(ToolError, match="pip install"):
        choose_format(_recipe("hvx"), hexagon.HvxAccelerator(), device)
    choice = choose_format(_recipe("hvx"), hexagon.HvxAccelerator(), device, needs_tool=False)
    assert choice.format is not None and choice.format.name == "hvx"


def test_a_processor_behind_the_first_is_left_out_with_a_note_where_its_emulator_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    device = find_device("galaxy-s25")
    processors = choose_processors(_recipe("auto"), device)
    assert [entry.name for entry in processors.accelerators] == ["htp"]
    (note,) = processors.notes
    assert note.startswith("hvx is not used") and "qemu-user" in note
    assert not choose_processors(_recipe("auto"), device, needs_tools=False).notes


def test_the_older_chip_names_what_it_computes_in():
    device = find_device("sa8295p-board")
    (accelerator,) = choose_accelerators(_recipe("hvx"), _accelerators("sa8295p-board"))
    with pytest.raises(TargetError, match="does not compute in hvx"):
        choose_format(_recipe("hvx"), accelerator, device, needs_tool=False)
