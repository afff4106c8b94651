import onnx_ir as ir
import pytest

from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.executor import HtpExecutor
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.socs import find_htp_soc
from tests.passes.integer.integer_blocks import attention_block, convolution_block, feeds

BLOCKS = {"attention": lambda: (attention_block(), feeds(8)), "convolution": convolution_block}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("scheme", "bound"), [(Scheme.A16W8, 50), (Scheme.A8W8, 30), (Scheme.A16W4, 50)])
@pytest.mark.parametrize("chip", ["SM8750", "SM7675", "SM8450"])
def test_the_emulator_agrees_with_the_integer_reference(block, scheme, bound, chip, tool, tmp_path):
    if chip == "SM8450" and scheme is Scheme.A16W4:
        bound = 40  # v69 cuts off sums of products with 4-bit weights instead of rounding them
    component, samples = BLOCKS[block]()
    soc = find_htp_soc(chip)
    requantize(component, scheme, samples, wide_factors=soc.arch >= 73)
    ir.save(component.model, tmp_path / "block.onnx")
    binary = prepare(tmp_path / "block.onnx", soc, tmp_path / "out", environment=tool)
    reference = OnnxExecutor(component.model)(samples[0])["y"]
    assert signal_to_noise(reference, HtpExecutor(binary, tool)(samples[0])["y"]) >= bound
