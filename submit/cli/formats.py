"""Commands on submissions of other forms than Kaggle's: write, vqa."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from submit.errors import SubmissionError
from submit.formats import algonauts, algonauts2021, kaggle, sensorium, vqa_results
from submit.formats.vqa_results import VQAScores
from submit.labels import Labels
from submit.predictions import Predictions

_FILE = click.Path(path_type=Path)
_SUFFIXES = {
    "kaggle": (".csv",),
    "algonauts2023": (".zip", ""),
    "algonauts2021": (".zip", ".pkl"),
    "vqa": (".json",),
    "sensorium": ("",),
}


@click.command()
@click.argument("predictions", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(list(_SUFFIXES)), required=True, help="The challenge's.")
@click.option("--out", type=_FILE, required=True, help="What to write: .csv, .json, .pkl, .zip, or a folder.")
@click.option(
    "--against",
    type=_FILE,
    help="What gives rows, names and sizes: a sample submission, the challenge's data, VQA's questions.",
)
def write(predictions: tuple[str, ...], form: str, out: Path, against: Path | None) -> None:
    """Write PREDICTIONS (npz) in the form of a challenge, checked.

    Where there is a fault nothing is written.

    \b
    kaggle         a CSV. --against sample_submission.csv
    algonauts2023  a zip, or a folder. PREDICTIONS: subj01=FILE ... subj08=FILE,
                   or a folder of subj01.npz ...; a subject may have several
                   files, such as one a hemisphere.
                   --against the folder of subj01, ..., which also tells one
                   subject's predictions from another's, by their images
    algonauts2021  a zip, or a pickle. PREDICTIONS: sub01=FILE ... sub10=FILE.
                   --against the folder of mini_track and full_track
    vqa            a JSON. --against the JSON of questions
    sensorium      a folder of two CSVs. --against the session's folder (must)
    """
    if out.suffix.lower() not in _SUFFIXES[form]:
        expected = " or ".join(suffix or "folder" for suffix in _SUFFIXES[form])
        raise SubmissionError(f"--out {out}: expected a {expected} for {form}.")
    for path in _written(predictions, form, out, against):
        click.echo(f"{path}: written")


@click.command()
@click.argument("results", type=_FILE)
@click.argument("annotations", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def vqa(results: Path, annotations: Path, as_json: bool) -> None:
    """Score the answers in RESULTS by VQA accuracy.

    RESULTS is a JSON, npz or CSV, ANNOTATIONS the challenge's JSON. The accuracy is of all questions, and by type of
    answer and question.
    """
    found = vqa_results.score(results, annotations)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        Console().print(_table(found))


def _written(texts: Sequence[str], form: str, out: Path, against: Path | None) -> list[Path]:
    if form == "algonauts2023":
        return [algonauts.write(_members(texts), out, against)]
    if form == "algonauts2021":
        return [algonauts2021.write(_members(texts), out, against)]
    if len(texts) != 1:
        raise SubmissionError(f"{form}: expected one file of predictions, found {len(texts)}.")
    path = Path(texts[0])
    if form == "vqa":
        answers = Labels.load(path) if path.suffix.lower() == ".csv" else Predictions.load(path)
        return [vqa_results.write(answers, out, against)]
    if form == "kaggle":
        written = kaggle.write(Predictions.load(path), out, against)
        if against is None:
            click.echo(f"Warning: {out}: {kaggle.UNCHECKED}", err=True)
        return [written]
    if against is None:
        raise SubmissionError(
            "sensorium: name the session's folder, which holds trials and neurons (--against)."
        )
    return sensorium.write(Predictions.load(path), out, against)


def _members(texts: Sequence[str]) -> dict[str, list[Path]] | Path:
    """The files of each subject, or the one file or folder that was given without a subject."""
    if len(texts) == 1 and ("=" not in texts[0] or Path(texts[0]).exists()):
        return Path(texts[0])
    members: dict[str, list[Path]] = {}
    for text in texts:
        subject, equals, path = text.partition("=")
        if not equals:
            raise SubmissionError(f"expected predictions by subject, as in subj01=FILE; found {text!r}.")
        members.setdefault(subject, []).append(Path(path))
    return members


def _table(found: VQAScores) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows = {"VQA accuracy": found.overall}
    rows |= {f"answers: {kind}": value for kind, value in found.answer_type.items()}
    rows |= {f"questions: {kind}": value for kind, value in found.question_type.items()}
    for name, value in rows.items():
        table.add_row(Text(name), f"{value:.4f}")  # [ in a name is no markup
    table.add_row("questions", f"{found.questions:,}")
    return table
