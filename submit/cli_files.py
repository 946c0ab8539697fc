"""Commands on submission files: check."""

from pathlib import Path

import click

from submit.check import check as checked

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--against",
    type=_FILE,
    help="A sample submission, which Kaggle's CSV needs; the challenge's data; VQA's questions.",
)
def check(file: Path, against: Path | None) -> None:
    """Check FILE, and list every fault.

    It may be a CSV or npz for Kaggle, a zip or folder of Algonauts 2023, a pickle of Algonauts 2021, VQA's JSON or
    Sensorium's CSV.
    """
    faults = checked(file, against)
    if faults:
        raise click.ClickException(
            f"{file} is not a valid submission:\n" + "\n".join(f"- {fault}" for fault in faults)
        )
    click.echo(f"{file}: a valid submission")
