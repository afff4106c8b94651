"""The command line: its group, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from typing import NoReturn

import click
from rich.console import Console

from npuc.errors import ResourceError, UsageError
from npuc.machine import signals
from npuc.machine.ending import clean_up
from npuc.terminal.console import open_console
from npuc.terminal.lazy_group import LazyCommand, LazyGroup
from npuc.version import npuc_version
from program.errors import DiagnosticError

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


def main() -> NoReturn:
    """Runs the command line and exits with the code that docs/exit-codes.md lists."""
    signals.install(clean_up)
    if not sys.warnoptions:
        warnings.simplefilter(
            "ignore"
        )  # libraries warn with their own source lines, and in the model's words
    code = run(sys.argv[1:])
    if signals.received_signal() is not None:
        clean_up()
        os._exit(code)  # the interpreter would first take torch and TVM apart, for seconds
    sys.exit(code)


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
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _interrupted(console, signal.SIGINT)
    except (Exception, signals.SignalledError) as error:
        number = signals.received_signal()
        if number is not None:  # a library may have made another error of the signal's
            return _interrupted(console, number)
        return _failed(console, arguments, error)


def _failed(console: Console, arguments: list[str], error: BaseException) -> int:
    if isinstance(error, DiagnosticError):
        _print_error(console, error.render())
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    if isinstance(error, MemoryError):
        remedy = "use one with more, or a smaller model"
        _print_error(console, ResourceError("the machine has not enough memory", remedy=remedy).render())
        return ResourceError.exit_code
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        long = UsageError(
            "a file name is too long", received=f"{str(error.filename)[:60]}…", remedy="shorten it"
        )
        _print_error(console, long.render())
        return long.exit_code
    # the boundary: what is not a DiagnosticError is a fault of npuc
    from npuc.reproducer import write_reproducer

    folder = write_reproducer(arguments, error)
    _print_error(console, f"internal error: {type(error).__name__}: {error}\n  next:     report {folder}")
    return INTERNAL_ERROR


def _interrupted(console: Console, number: int) -> int:
    console.print(signals.words(number), style="yellow")
    return 128 + number


def _print_error(console: Console, text: str) -> None:
    console.print("error:", style="bold red", end=" ")
    console.print(text, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
