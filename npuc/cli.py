"""The command line: its group, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from exporter.errors import DiagnosticError
from npuc.console import open_console
from npuc.errors import ResourceError
from npuc.lazy_group import LazyCommand, LazyGroup
from npuc.version import npuc_version

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h."""


_HELP = """Compiles a multimodal model into verified artifacts for mobile NPUs.

\b
npuc compile demo --device galaxy-s25 -o build/galaxy-s25
npuc verify build/galaxy-s25
npuc run build/galaxy-s25 --image a.png --audio q.wav --prompt "what is the sum?"
"""


_COMMANDS = {
    "cache": LazyCommand(
        "npuc.commands.cache:cache_group", "List and remove the finished steps that npuc keeps."
    ),
    "compile": LazyCommand(
        "npuc.commands.compile:compile_command", "Compile a model for a device and execute the result."
    ),
    "coverage": LazyCommand(
        "npuc.commands.coverage:coverage_command", "Say where each node of a model would run on a device."
    ),
    "devices": LazyCommand(
        "npuc.commands.devices:devices_command",
        "List the device catalogue, with the source of every figure.",
    ),
    "doctor": LazyCommand(
        "npuc.commands.doctor:doctor_command", "Say what this machine lacks, and the command that mends it."
    ),
    "inspect": LazyCommand(
        "npuc.commands.inspect:inspect_command", "Show components, precision, agreement and budgets."
    ),
    "recipe": LazyCommand("npuc.commands.recipe:recipe_group", "Show, describe and check recipes."),
    "run": LazyCommand(
        "npuc.commands.run:run_command", "Ask an artifact something; its binaries run in emulation."
    ),
    "tools": LazyCommand(
        "npuc.commands.tools:tools_group", "Install, list and remove vendors' NPU compilers."
    ),
    "verify": LazyCommand(
        "npuc.commands.verify:verify_command", "Check files and execute every binary against its reference."
    ),
}


@click.group(
    cls=LazyGroup,
    places=_COMMANDS,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(npuc_version(), prog_name="npuc")
def cli() -> None:
    """Holds the commands."""


class _SignalledError(BaseException):
    """SIGINT or SIGTERM arrived; unwinds the stack so that temporary folders are removed.

    Not KeyboardInterrupt: CPython kills the process by SIGINT at its exit, whatever the exit code, once a
    KeyboardInterrupt has passed through ``exec`` of a string (``run_eval_code_obj`` in Python/pythonrun.c),
    as dataclasses and torch.fx use it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise _SignalledError(number)


def main() -> NoReturn:
    """Runs the command line and exits with the code that docs/exit-codes.md lists."""
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command and turns every error into a message on standard error.

    Args:
        arguments: Command line without the program name.

    Returns:
        The exit code.
    """
    console = open_console(stderr=True)
    try:
        result = cli.main(arguments, prog_name="npuc", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except DiagnosticError as error:
        _print_error(console, error.render())
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _interrupted(console, signal.SIGINT)
    except _SignalledError as error:
        return _interrupted(console, error.number)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except MemoryError:
        remedy = "use one with more, or a smaller model"
        _print_error(console, ResourceError("the machine has not enough memory", remedy=remedy).render())
        return ResourceError.exit_code
    except Exception as error:  # the boundary: what is not a DiagnosticError is a fault of npuc
        from npuc.reproducer import write_reproducer

        folder = write_reproducer(arguments, error)
        _print_error(console, f"internal error: {type(error).__name__}: {error}\n  next:     report {folder}")
        return INTERNAL_ERROR


def _interrupted(console: Console, number: int) -> int:
    word = "terminated" if number == signal.SIGTERM else "interrupted"
    console.print(f"{word}; nothing was written. The same command resumes.", style="yellow")
    return 128 + number


def _print_error(console: Console, text: str) -> None:
    console.print("error:", style="bold red", end=" ")
    console.print(text, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
