"""`npuc verify`: checksums, and every binary executed against its reference."""

from __future__ import annotations

from pathlib import Path

import click

from npuc.console import open_console


@click.command("verify", short_help="Check files and execute every binary against its reference.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--against", metavar="MODEL", help="Also compare with the model the artifact was made from.")
def verify_command(artifact: Path, against: str | None) -> int:
    """Checks ARTIFACT. Exit code 1 where a file was changed or a binary disagrees with its reference."""
    from npuc.artifact import Artifact  # imports the emulator stack; `npuc --help` should not
    from npuc.tables import agreement_table, source_tables, subnetwork_table
    from npuc.verify import compare_with_source, subnetwork_seconds, verify_binaries

    console = open_console()
    opened = Artifact(artifact)
    size = opened.check_files()
    console.print(
        f"checksums: {len(opened.manifest.files)} files, {size / 1e6:.2f} MB, all as written", highlight=False
    )
    explanations: list[str] = []
    agreements = verify_binaries(opened, explanations.append)
    console.print(agreement_table(agreements))
    for line in explanations:
        console.print(line, highlight=False, markup=False)
    if len(opened.manifest.subnetworks) > 1:
        console.print(subnetwork_table(opened.manifest, subnetwork_seconds(opened)))
    passed = all(agreement.passed for agreement in agreements.values())
    if against is not None:
        comparison = compare_with_source(opened, against)
        for table in source_tables(comparison):
            console.print(table)
        if not comparison.same_source:
            console.print("the model's files are not those the artifact was made from", style="bold red")
        passed = passed and comparison.passed
    console.print("verified" if passed else "NOT verified", style="bold green" if passed else "bold red")
    return 0 if passed else 1
