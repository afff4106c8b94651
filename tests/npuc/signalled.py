"""Commands that are sent a signal while they run."""

import os
import subprocess
import sys
import time

_SLOW_S = 300


class Running:
    """An npuc command in a process of its own.

    Args:
        arguments: Of the command line.
        cache: Its cache.
        **variables: Further variables of its environment.
    """

    def __init__(self, *arguments, cache, **variables):
        environment = os.environ | {"NPUC_CACHE": str(cache)} | variables
        command = [sys.executable, "-m", "npuc.cli", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def wait_until(self, condition):
        """Waits until the condition holds, and fails where the command ends before."""
        deadline = time.monotonic() + _SLOW_S
        while not condition():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self, number):
        """Sends a signal; returns exit code, seconds until the end, and what was written to standard error."""
        started = time.monotonic()
        self.process.send_signal(number)
        try:
            _, written = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        seconds = time.monotonic() - started
        sys.stdout.write(f"ended {seconds:.2f} s after signal {number}\n")  # pytest -s shows it
        return self.process.returncode, seconds, written
