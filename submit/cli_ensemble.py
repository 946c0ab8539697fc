"""The command that combines predictions: ensemble."""

from pathlib import Path

import click

from submit import ensemble as combine
from submit import kaggle
from submit.errors import SubmissionError
from submit.predictions import Predictions

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("members", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, required=True, help="The file to write: .npz, or .csv.")
@click.option("--weights", help="One number a member, as in 0.3,0.7; equal when not given.")
@click.option(
    "--against", type=_FILE, help="A sample submission, which gives a CSV its rows, columns and names."
)
def ensemble(members: tuple[Path, ...], out: Path, weights: str | None, against: Path | None) -> None:
    """Average MEMBERS (npz or CSV), matched by id and target name, into one file."""
    if out.suffix.lower() not in (".npz", ".csv"):
        raise SubmissionError(f"--out {out}: expected a .npz or .csv file.")
    numbers = None if weights is None else _weights(weights, len(members))
    loaded = (Predictions.load(path) for path in members)
    result = combine.mean(loaded) if numbers is None else combine.weighted(loaded, numbers)
    if out.suffix.lower() == ".csv":
        kaggle.write(result, out, against)
    else:
        faults = [] if against is None else kaggle.check(result, against)
        if faults:
            raise SubmissionError(f"{out} was not written:\n" + "\n".join(f"- {fault}" for fault in faults))
        result.save(out)
    click.echo(
        f"{out}: {len(members)} predictions combined, {len(result):,} samples, {len(result.targets):,} targets"
    )


def _weights(text: str, members: int) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SubmissionError(f"--weights: expected numbers as in 0.3,0.7; found {text!r}.") from error
    if len(weights) != members:
        raise SubmissionError(f"--weights: {len(weights)} weights for {members} predictions.")
    return weights
