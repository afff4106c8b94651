import subprocess
import sys

import numpy as np

from program.program import Request


def test_the_runner_needs_no_torch():
    code = (
        "import sys\n"
        "from exporter.families.registry import FAMILIES\n"
        "assert callable(FAMILIES['qwen3_vl'].runner)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_short_chunk_is_filled_up_with_its_last_token(qwen):
    """Rows of zeros have no direction: normalised in integers they are noise, which hides what real rows do."""
    calls = []

    def prefill(feeds):
        calls.append(feeds)
        return qwen.executors["prefill"](feeds)

    qwen.runner.generate({**qwen.executors, "prefill": prefill}, Request("Read the text"), 1)
    feeds = calls[-1]
    rows, last = feeds["inputs_embeds"][0], int(feeds["logit_index"][0])
    assert 0 < last < len(rows) - 1
    np.testing.assert_array_equal(rows[last + 1 :], np.broadcast_to(rows[last], rows[last + 1 :].shape))
    assert np.any(rows, axis=1).all()
