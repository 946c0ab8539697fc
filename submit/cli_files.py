"""Commands on submission files: check."""

from pathlib import Path

import click

from submit import kaggle

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--against", type=_FILE, required=True, help="The competition's sample_submission.csv.")
def check(file: Path, against: Path) -> None:
    """Check FILE (CSV or npz) against a sample submission, and list every fault."""
    faults = kaggle.check(file, against)
    if faults:
        raise click.ClickException(
            f"{file} is not a valid submission:\n" + "\n".join(f"- {fault}" for fault in faults)
        )
    click.echo(f"{file}: a valid submission")
