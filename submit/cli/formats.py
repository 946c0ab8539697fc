"""Commands on submissions in their challenge's format: write, check, vqa."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from submit.cli.terminal import plain_console
from submit.errors import SubmissionError, either
from submit.files.atomic import refuse_input
from submit.files.json_text import json_of
from submit.formats import vizwiz_results, vqa_results
from submit.formats.answer_files import is_list
from submit.formats.table import FORMATS
from submit.formats.table import check as checked
from submit.formats.vqa_results import VQAScores

_FILE = click.Path(path_type=Path)
_BY_NAME = {form.name: form for form in FORMATS}
_SUFFIXES = sorted({suffix for form in FORMATS for suffix in form.writes if suffix})
_AGAINST = f"What gives rows, names and sizes: {', '.join(dict.fromkeys(form.against for form in FORMATS))}."


def _usages() -> str:
    """The formats, one below the other, each with its usage beside it."""
    width = max(map(len, _BY_NAME)) + 2
    lines = [
        ("" if number else name).ljust(width) + line
        for name, form in _BY_NAME.items()
        for number, line in enumerate(form.usage)
    ]
    return "\n".join(lines)


@click.command(
    help=f"Write PREDICTIONS (npz) in the form of a challenge, checked.\n\n"
    f"Where there is a fault nothing is written.\n\n\b\n{_usages()}\n\n\b\nExample:\n"
    "  python -m submit write test.npz --format kaggle --out submission.csv \\\n"
    "      --against sample_submission.csv\n\nThen: `check` it once more where it was moved, and hand it in."
)
@click.argument("predictions", nargs=-1, required=True)
@click.option("--format", "name", type=click.Choice(list(_BY_NAME)), required=True, help="The challenge's.")
@click.option(
    "--out",
    type=_FILE,
    required=True,
    help=f"What to write: {', '.join(_SUFFIXES)}, or a folder.",
)
@click.option("--against", type=_FILE, help=_AGAINST)
def write(predictions: tuple[str, ...], name: str, out: Path, against: Path | None) -> None:
    form = _BY_NAME[name]
    if out.suffix.lower() not in form.writes:
        expected = either(suffix or "folder" for suffix in form.writes)
        raise SubmissionError(f"--out {out}: expected a {expected} for {name}.")
    if not form.by_subject and len(predictions) != 1:
        raise SubmissionError(f"{name}: expected one file of predictions, found {len(predictions)}.")
    source = _by_subject(predictions) if form.by_subject else Path(predictions[0])
    read = [source] if isinstance(source, Path) else [path for files in source.values() for path in files]
    refuse_input(out, [*read, against])
    written = form.write(source, out, against)
    if against is None and form.unchecked:
        click.echo(f"Warning: {out}: {form.unchecked}", err=True)
    for path in written:
        click.echo(f"{path}: written")


@click.command(
    help=f"Check FILE, and list every fault.\n\nIt may be {either(form.title for form in FORMATS)}.\n\n"
    "\b\nExample:\n  python -m submit check submission.csv --against sample_submission.csv\n\n"
    "Then: hand it in; `explain` says what it was made of."
)
@click.argument("file", type=_FILE)
@click.option("--against", type=_FILE, help=_AGAINST)
def check(file: Path, against: Path | None) -> None:
    faults = checked(file, against)
    if faults:
        raise click.ClickException(
            f"{file} is not a valid submission:\n" + "\n".join(f"- {fault}" for fault in faults)
        )
    click.echo(f"{file}: a valid submission")


@click.command()
@click.argument("results", type=_FILE)
@click.argument("annotations", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def vqa(results: Path, annotations: Path, as_json: bool) -> None:
    """Score the answers in RESULTS by VQA accuracy.

    RESULTS is a JSON, npz or CSV, ANNOTATIONS the JSON of VQA v2 or VizWiz. The accuracy is of all questions, and by
    type of answer and question, as VQA v2's code has it; where another reading of its rules differs, both are named.
    VizWiz's own code may give less: it seems not to normalise what people wrote.

    \b
    Example:
      python -m submit vqa results.json annotations.json

    Then: `check results.json --against questions.json` before handing it in.
    """
    challenge = vizwiz_results if is_list(annotations) else vqa_results
    found = challenge.score(results, annotations)
    if as_json:
        click.echo(json_of(found.to_dict()))
    else:
        plain_console().print(_table(found))


def _by_subject(texts: Sequence[str]) -> dict[str, list[Path]] | Path:
    """The files of each subject, or the one file or folder that was given without a subject."""
    if len(texts) == 1 and ("=" not in texts[0] or Path(texts[0]).exists()):
        return Path(texts[0])
    subjects: dict[str, list[Path]] = {}
    for text in texts:
        subject, equals, path = text.partition("=")
        if not equals:
            raise SubmissionError(f"expected predictions by subject, as in subj01=FILE; found {text!r}.")
        subjects.setdefault(subject, []).append(Path(path))
    return subjects


def _table(found: VQAScores) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows = {"VQA accuracy, as VQA v2's code": found.overall}
    if found.normalised != found.overall:
        rows["with unanimous answers normalised too"] = found.normalised
    rows |= {f"answers: {kind}": value for kind, value in found.answer_type.items()}
    rows |= {f"questions: {kind}": value for kind, value in found.question_type.items()}
    for name, value in rows.items():
        table.add_row(Text(name), f"{value:.4f}")  # [ in a name is no markup
    table.add_row("questions", f"{found.questions:,}")
    return table
