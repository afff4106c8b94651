"""`npuc verify`: checksums, and every binary executed against its reference."""

from __future__ import annotations

from pathlib import Path

import click

from npuc.artifact.manifest import ComponentRecord, read_manifest
from npuc.terminal.console import open_console

RECORDED = (
    "from the model to the binary (rewritten and final as recorded; --against MODEL measures them again)"
)


@click.command("verify")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--against", metavar="MODEL", help="Also compare with the model the artifact was made from.")
def verify_command(artifact: Path, against: str | None) -> int:
    """Checks ARTIFACT. Exit code 1 where a file was changed or a binary disagrees with its reference.

    With --against also where the rewritten or the final graphs disagree with MODEL.
    """
    read_manifest(artifact)  # refuses what is no artifact before the libraries of emulators are waited for
    from npuc.artifact.artifact import Artifact
    from npuc.compare.binary.verify import subnetwork_seconds, verify_binaries
    from npuc.compare.source.fidelity import fidelity_notes, fidelity_rows
    from npuc.terminal.tables import agreement_table, answer_table, fidelity_table, subnetwork_table

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
    if against is None:
        console.print(fidelity_table(fidelity_rows(opened.manifest, agreements), RECORDED))
    else:
        from npuc.compare.source.verify_source import compare_with_source

        comparison = compare_with_source(opened, against)
        console.print(fidelity_table(fidelity_rows(opened.manifest, agreements, comparison.sources)))
        for note in fidelity_notes(opened.manifest, comparison.sources):
            console.print(note, highlight=False, markup=False)
        if any(row.prompt for row in comparison.rows):
            console.print(answer_table(comparison))
        if not comparison.same_source:
            console.print("the model's files are not those the artifact was made from", style="bold red")
        passed = passed and comparison.passed
    accepted = any(_is_accepted(record) for record in opened.manifest.components)
    word = "verified, with an accepted loss of precision" if accepted else "verified"
    console.print(word if passed else "NOT verified", style="bold green" if passed else "bold red")
    return 0 if passed else 1


def _is_accepted(record: ComponentRecord) -> bool:
    return record.source.precision is not None and record.source.precision.accepted
