"""A progress reporter that interrupts training, as Ctrl-C does."""

import contextlib

from npuc.terminal.progress import SilentReporter


class Interrupting(SilentReporter):
    """Interrupts the phase `train` when it has done some steps.

    Args:
        steps: How many; None: never.
    """

    def __init__(self, steps=None):
        self.trained = 0
        self._steps = steps

    @contextlib.contextmanager
    def phase(self, name, total):
        def advance(items, nbytes):
            if name == "train":
                self.trained += items
                if self.trained == self._steps:
                    raise KeyboardInterrupt

        yield advance
