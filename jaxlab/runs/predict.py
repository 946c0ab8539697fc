"""What `jaxlab predict` does: a split with each of several runs, and their mean as one file."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.evaluate.inference import summary
from jaxlab.runs import asked, given, keeping
from jaxlab.runs.answer_results import results_of, write_results
from jaxlab.runs.api import load
from jaxlab.runs.constant import constants
from jaxlab.runs.predict_checks import asks_for_another, check_id_column, check_out, check_together
from jaxlab.runs.run import Form, Run, Which
from submit import Labels, Predictions, ensemble, kaggle
from submit.files.atomic import atomic, refuse_input
from submit.files.csv_writing import header_line, row_lines

OF_SPLITS = (".csv", ".npz", ".json")  # the last one of answers to questions


@dataclass(frozen=True)
class Predicted:
    """What was done. files: each run's own predictions, by its directory. mean: of all of them, where it was written.

    out: the file with the mean. sample: the submission's sample that it was checked against.
    subjects: of runs that pool several, what was done for each; `out` is then the folder of their files.
    """

    files: dict[Path, Path]
    mean: Predictions | None = None
    out: Path | None = None
    sample: Path | None = None
    subjects: "Mapping[str, Predicted]" = field(default_factory=dict)


def predict_runs(
    paths: Sequence[Path],
    out: Path | None = None,
    settings: Iterable[str] = (),
    which: Which | None = None,
    split: str = "test",
    log: Callable[[str], None] = lambda line: None,
    objective: str | None = None,
    subject: str | None = None,
) -> Predicted:
    """Predict a split with each run, keep it in each one's predictions/, and write their mean to `out`, if given.

    Of runs that pool several subjects `out` is a folder with a file for each, named as it; subject: this one alone, of
    which there may be runs of its own data, too.

    A run that is read-only keeps nothing where `out` is given, which is told.
    objective: of those that each run has learned; default its first. The suffix of `out` picks csv or npz, or, of
    questions about images, the JSON that their challenge takes.
    which: by default the best checkpoint, and the last ones of folds.
    log: is given a warning for each run whose training is not at its end, and a line on each file once it is written.
    Raises UserError or SubmissionError, before anything is predicted where that can be known.
    """
    if out is not None and out.suffix and not out.is_dir():  # as that of several subjects may be, dots or not
        check_out(out, OF_SPLITS)
    runs = of_subject([load(path, settings).predicting(objective) for path in paths], subject)
    if any(run.subjects for run in runs):
        from jaxlab.runs.predict_subjects import (
            predict_subjects,  # it predicts one after the other, as this does
        )

        return predict_subjects(runs, out, which, split, log, objective)
    check_out(out, OF_SPLITS)
    return predict_loaded(runs, out, which, split, log, objective)


def of_subject(runs: Sequence[Run], subject: str | None) -> Sequence[Run]:
    """The runs, those that pool several subjects of that one alone; beside them runs of its own data stay as they are.

    Raises UserError where none pools it.
    """
    if subject is None:
        return runs
    alone = not any(run.subjects for run in runs)
    return [run.subject(subject) if run.subjects or alone else run for run in runs]


def predict_loaded(
    runs: Sequence[Run],
    out: Path | None,
    which: Which | None,
    split: str,
    log: Callable[[str], None],
    objective: str | None,
) -> Predicted:
    """`predict_runs` of runs at hand, which are of one subject."""
    for run in runs if out is None else ():
        keeping.check_writable(run.rundir)
    _warn_unfinished(runs, log)
    sample = runs[0].test[1] if split == "test" and out is not None else None
    unchecked = "there is no sample submission"
    if sample is not None and asks_for_another(runs[0], sample):
        unchecked, sample = f"{sample} asks for another objective than {objective}", None
    answers = results_of(runs, out, split) if out is not None and out.suffix == ".json" else None
    if out is not None:
        refuse_input(out, [sample, None if answers is None else answers.questions])
        check_together(runs, sample if out.suffix == ".csv" else None)
        if sample is None:
            check_id_column(runs[0], out)
    mean, files = mean_of(runs, split, which, out, log)
    if out is None or mean is None:
        return Predicted(files)
    if answers is not None:
        log(f"{out}: written{write_results(answers, mean, out)}")
        return Predicted(files, mean, out, answers.questions)
    mean, against, about = _written(mean, out, sample, runs[0], unchecked, log)
    log(f"{out}: written{about}")
    return Predicted(files, mean, out, against)


def mean_of(
    runs: Sequence[Run], split: str, which: Which | None, out: Path | None, log: Callable[[str], None]
) -> tuple[Predictions | None, dict[Path, Path]]:
    """The mean of what runs predict of a split, where it has an `out`, and the files that keep each one's, by run."""
    members, names, files = [], list[str](), {}
    for run in runs:
        predictions, file = _kept(run, split, which, out, log)
        members.append(predictions)
        names.append(str(file or run.rundir.path))
        if file is not None:
            files[run.rundir.path] = file
        if inferred := predictions.provenance.get("inference"):
            log(f"{run.rundir.path}: {summary(inferred, run.primary)}")
    if out is None:
        return None, files
    return members[0] if len(members) == 1 else ensemble.mean(members, names), files


def _warn_unfinished(runs: Sequence[Run], log: Callable[[str], None]) -> None:
    for run in runs:
        for warning in run.unfinished():
            log(warning)


def _kept(
    run: Run, split: str, which: Which | None, out: Path | None, log: Callable[[str], None]
) -> tuple[Predictions, Path | None]:
    """A run's predictions and the file that keeps them: None in one that is read-only, beside an `out`."""
    if out is not None and not keeping.is_writable(run.rundir):
        path = run.rundir.path
        predictions = run.predict_split(split, which)
        log(f"warning: {path} is read-only: its predictions are in {out} alone, not kept in it too")
        return predictions, None
    predictions, file = run.kept_as(split, which)
    log(f"{file}: {len(predictions.ids)} images x {len(predictions.targets)} targets")
    return predictions, file


def _written(
    mean: Predictions,
    out: Path,
    sample: Path | None,
    run: Run,
    unchecked: str,
    log: Callable[[str], None],
) -> tuple[Predictions, Path | None, str]:
    """Write the mean in the form that `out` asks for: as written, the sample that it was checked against, and words.

    unchecked: why there is no sample.
    """
    if out.suffix == ".npz":
        mean.save(out)
        return mean, None, ""
    if sample is None:
        mean = _in_form(mean, None, run)
        kaggle.write(mean, out)
        return mean, None, f" with {_WORDS[mean.kind]}, not checked: {unchecked}"
    for warning in _no_whole_numbers(mean, sample, run):
        log(warning)
    kaggle.write(mean, out, sample)
    return mean, sample, f", checked against {sample}"


def predict_images(
    paths: Sequence[Path],
    images: Path,
    out: Path,
    settings: Iterable[str] = (),
    which: Which | None = None,
    form: Form | None = None,
    log: Callable[[str], None] = lambda line: None,
    objective: str | None = None,
    skip_broken: bool = False,
    subject: str | None = None,
    questions: Path | None = None,
) -> Path:
    """Write to `out` the mean of what runs predict for a folder of images, or one: a row for each, its file name first.

    questions: of runs that answer some about images, a table with the columns image and question; a row for each then.

    The names of images in folders inside of it begin with these, as `cat/1.png`. The suffix of `out` picks csv, npz or
    parquet. skip_broken: leave out images that cannot be decoded, which are told; else they are an error.
    objective: as `predict_runs` has it. form: of classes; default probabilities, a column for each. `labels` is one
    column of class names, in a csv. subject: of runs that pool several, whose targets; default all. Nothing is kept in
    the runs, and no file is overwritten. Raises UserError, before anything is predicted where that can be known.
    """
    check_out(out, given.SUFFIXES)
    if out.exists():
        raise UserError(
            f"--out {out}: is there already; nothing is overwritten, so give another file or remove it"
        )
    runs = of_subject([load(path, settings).predicting(objective) for path in paths], subject)
    first = runs[0]
    check_together(runs, None)
    for run in runs:
        asked.check_asks(run.asks, questions is not None, run.rundir.path)
    first.primary.presented(first.primary.placeholder(1), form)
    if form == "labels" and out.suffix != ".csv":
        raise UserError(f"--out {out}: expected a .csv file for labels; others hold numbers")
    if form != "labels":
        check_id_column(first, out)
    for run in runs:
        for warning in run.unfinished():
            log(warning)
    samples = _given(first, images, questions)
    rows = given.readable_rows(samples, log) if skip_broken else np.arange(len(samples))
    samples = given.at_rows(samples, rows)
    each = (_in_order(run, given.at_rows(_given(run, images, questions), rows), which, first) for run in runs)
    values = next(each) if len(runs) == 1 else first.primary.mean_of(each)
    origin: dict[str, Any] = {"images": str(images), "runs": [run.rundir.path.name for run in runs]}
    if first.predicts is not None:
        origin["objective"] = first.predicts
    found = Predictions(samples.ids, values, np.array(first.targets), first.primary.written, "images", origin)
    if same := constants(found):
        log(same)
    if form == "labels":
        _write_labels(Labels.of(found), out)
    else:
        found = _in_form(found, form, first)
        given.save(found, out)
    what = counted(len(samples), "image" if questions is None else "question")
    log(f"{out}: {what}, {'class names' if form == 'labels' else _WORDS[found.kind]}")
    return out


def _given(run: Run, images: Path, questions: Path | None) -> Samples:
    """The images as a run takes them, or a sample for each question about them."""
    samples = run.given(images)
    if questions is None:
        return samples
    rows, texts = asked.read_questions(questions, samples)
    return asked.about(samples, rows, texts, run.asks[0])


def _write_labels(labels: Labels, path: Path) -> None:
    with atomic(path) as file:
        file.write(header_line(["id", labels.name]))
        file.write(row_lines(labels.ids, labels.labels[:, None]))


_WORDS = {
    "regression": "predictions in the targets' units",
    "logits": "logits",
    "probabilities": "probabilities",
}


def _in_order(run: Run, samples: Samples, which: Which | None, first: Run) -> np.ndarray:
    """What a run predicts, its columns in the order of the first one's."""
    place = {name: column for column, name in enumerate(run.targets)}
    return run.predicted(samples, which)[:, [place[name] for name in first.targets]]


def _in_form(predictions: Predictions, form: Form | None, run: Run) -> Predictions:
    """Logits as probabilities, unless they are asked for."""
    if predictions.kind != "logits" or form == "logits":
        return predictions
    return replace(
        predictions, values=run.primary.presented(predictions.values, "probabilities"), kind="probabilities"
    )


def _no_whole_numbers(mean: Predictions, sample: Path, run: Run) -> Iterator[str]:
    """A warning where whole numbers in the sample, and in training data that are here, look like numbers of classes."""
    if mean.kind != "regression" or len(mean.targets) > 1 or (mean.values == np.rint(mean.values)).all():
        return
    if kaggle.read_sample(sample).holds not in ("either", "whole"):
        return
    whose = f"{sample} has"
    with contextlib.suppress(UserError):  # the labelled data need not be here
        if (found := run.opened.train.target) is None:
            return
        target = np.asarray(found)
        if (target != np.rint(target)).any():
            return
        whose = f"{sample} and the training data have"
    name = str(mean.targets[0])
    yield (
        f"warning: {whose} whole numbers as {name!r}, and predictions such as "
        f"{mean.values[0, 0]:.3g} are none. Where they are numbers of classes, train with --set data.label={name}"
    )
