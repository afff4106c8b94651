import subprocess
import sys


def test_the_runner_needs_no_torch():
    code = (
        "import sys\n"
        "from exporter.families import FAMILIES\n"
        "assert callable(FAMILIES['qwen3_vl'].runner)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
