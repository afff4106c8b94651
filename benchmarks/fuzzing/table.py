"""What became of all damaged files, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from benchmarks.fuzzing.campaign import Tally
from benchmarks.fuzzing.kinds import KINDS
from benchmarks.fuzzing.outcome import BAD, MEGABYTES, OUTCOMES, SECONDS

_PACKAGES = ("numpy", "onnx", "onnx-ir", "pillow", "safetensors", "tokenizers", "torch")


def write_table(tallies: Mapping[str, Tally], path: Path, mutations: int) -> None:
    """Writes the page.

    Args:
        tallies: By kind.
        path: Of the Markdown file.
        mutations: As asked for, of all kinds together.
    """
    total = sum(sum(tally.counts.values()) for tally in tallies.values())
    bad = sum(tally.counts[outcome] for tally in tallies.values() for outcome in BAD)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    lines = [
        "# Damaged files",
        "",
        f"`python -m benchmarks.fuzz --mutations {mutations}` damages valid files of every kind that npuc reads: bits "
        "and bytes, values and nesting of JSON, fields of protocol buffers, members of archives. Each goes through "
        f"npuc's own code in a child process. Of {total} files {bad} ended in what a user should not see.",
        "",
        "* accepted: the change did no harm, or made another valid file;",
        "* refused: one of npuc's own errors, with what, where and what to do;",
        '* traceback: any other exception ("internal error" on the command line);',
        f"* hang: not done within {SECONDS:.0f} s of processor time; memory: more than {MEGABYTES} MB;",
        "* crash: the process ended.",
        "",
        f"Made with {versions}.",
        "",
        "| parser | " + " | ".join(OUTCOMES) + " |",
        "|---|" + "---:|" * len(OUTCOMES),
        *(_line(KINDS[name].parser, tally) for name, tally in tallies.items()),
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _line(parser: str, tally: Tally) -> str:
    return f"| {parser} | " + " | ".join(str(tally.counts[outcome]) for outcome in OUTCOMES) + " |"
