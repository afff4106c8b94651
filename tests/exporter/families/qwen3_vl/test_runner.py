import subprocess
import sys

import numpy as np

from exporter.families import FAMILIES
from exporter.onnx_executor import OnnxExecutor
from exporter.options import CaptureOptions
from exporter.program import Request
from exporter.sources import open_source
from tests.tiny_qwen3_vl import build


def test_the_runner_needs_no_torch():
    code = (
        "import sys\n"
        "from exporter.families import FAMILIES\n"
        "assert callable(FAMILIES['qwen3_vl'].runner)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_short_chunk_is_filled_up_with_its_last_token(tmp_path):
    """Rows of zeros have no direction: normalised in integers they are noise, which hides what real rows do."""
    build(tmp_path, tied=True)
    program = open_source(tmp_path, CaptureOptions(image_size=(64, 64), prefill_length=32, cache_length=64))
    executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
    calls = []

    def prefill(feeds):
        calls.append(feeds)
        return executors["prefill"](feeds)

    signatures = {name: component.inputs for name, component in program.components.items()}
    runner = FAMILIES["qwen3_vl"].runner(program.settings, program.assets, signatures)
    runner.generate({**executors, "prefill": prefill}, Request("Read"), 1)
    (feeds,) = calls
    rows, last = feeds["inputs_embeds"][0], int(feeds["logit_index"][0])
    assert 0 < last < len(rows) - 1
    np.testing.assert_array_equal(rows[last + 1 :], np.broadcast_to(rows[last], rows[last + 1 :].shape))
    assert np.any(rows, axis=1).all()
