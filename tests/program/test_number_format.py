import subprocess
import sys
from typing import get_args

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from program.number_format import FORMAT_NAMES, FP8_FORMATS, Format, FormatName, IntegerType, format_of


@pytest.mark.parametrize("kind", IntegerType)
def test_the_codes_of_an_integer_type_are_those_of_its_element_type(kind):
    information = ml_dtypes.iinfo(kind.numpy)
    assert (kind.lowest, kind.highest, kind.is_signed) == (
        int(information.min),
        int(information.max),
        information.min < 0,
    )


@pytest.mark.parametrize(
    ("entry", "largest"), zip(Format, (3.4028234663852886e38, 65504.0, 448.0, 57344.0), strict=True)
)
def test_a_float_format_has_its_element_type(entry, largest):
    assert (entry.largest, entry.is_fp8) == (largest, entry in FP8_FORMATS)
    assert entry.numpy == np.dtype(entry.onnx.numpy())
    assert format_of(entry.onnx) == entry.value


def test_every_name_belongs_to_one_element_type():
    assert get_args(FormatName) == FORMAT_NAMES
    found = [name for dtype in ir.DataType if (name := format_of(dtype)) is not None]
    assert sorted(found) == sorted(FORMAT_NAMES)
    assert format_of(ir.DataType.BOOL) is None


def test_recipes_and_device_files_need_no_graph_library_for_it():
    script = "import sys, program.number_format; print('onnx_ir' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
