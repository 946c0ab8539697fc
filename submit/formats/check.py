"""Checking a submission of any format: which it is shows from its name and content."""

from pathlib import Path

import pandas as pd

from submit.errors import SubmissionError
from submit.files.csv_rows import is_csv
from submit.files.csv_table import read_header
from submit.files.zips import names_in, open_zip
from submit.formats import algonauts, algonauts2021, kaggle, sensorium, vqa_results
from submit.predictions import Predictions


def check(
    submission: Predictions | pd.DataFrame | str | Path, against: pd.DataFrame | str | Path | None = None
) -> list[str]:
    """Every fault of a submission; an empty list when there is none.

    submission -> what it is held against:
        CSV, npz, predictions or table: Kaggle's sample_submission.csv, which it needs; a CSV may be packed, as .csv.gz
            or alone in a zip
        CSV with Sensorium's columns: the session's folder, or a CSV of its trials
        zip or folder: the data of Algonauts 2023; without, the challenge's sizes
        pkl, or a zip with one: the training data of Algonauts 2021
        json: VQA's questions

    Raises SubmissionError where `against` cannot be used, or is needed and not there.
    """
    if isinstance(submission, Predictions | pd.DataFrame):
        return _kaggle(submission, against)
    path = Path(submission)
    suffix = path.suffix.lower()
    if suffix == ".csv" and _is_sensorium(path):
        return sensorium.check(path, _path(against))
    inside = _suffixes(path) if suffix == ".zip" else set()
    if _is_kaggles(path, inside, against):
        return _kaggle(path, against)
    if suffix == ".json":
        return vqa_results.check(path, _path(against))
    if suffix == ".pkl" or ".pkl" in inside:
        return algonauts2021.check(path, _path(against))
    if suffix == ".zip" or path.is_dir():
        return algonauts.check(path, _path(against))
    raise SubmissionError(f"{path}: expected a folder or a file .csv, .csv.gz, .npz, .json, .pkl or .zip.")


def _is_kaggles(path: Path, inside: set[str], against: pd.DataFrame | str | Path | None) -> bool:
    """Whether it is a form of Kaggle's; of a zip that is damaged or absent, what it is held against says so."""
    if path.suffix.lower() != ".zip":
        return path.suffix.lower() == ".npz" or is_csv(path)
    return inside == {".csv"} or (not inside and isinstance(against, str | Path) and is_csv(against))


def _kaggle(
    submission: Predictions | pd.DataFrame | Path, against: pd.DataFrame | str | Path | None
) -> list[str]:
    if against is None:
        raise SubmissionError(
            "A Kaggle submission is checked against the competition's sample_submission.csv (--against)."
        )
    return kaggle.check(submission, against)


def _path(against: pd.DataFrame | str | Path | None) -> str | Path | None:
    if isinstance(against, pd.DataFrame):
        raise SubmissionError("A table is a sample for Kaggle's CSV only; expected a file or a folder.")
    return against


def _is_sensorium(path: Path) -> bool:
    try:
        return set(sensorium.COLUMNS) <= set(read_header(path))
    except SubmissionError:
        return False


def _suffixes(path: Path) -> set[str]:
    """Of the files in a zip; none where it is damaged, which its check says."""
    try:
        with open_zip(path) as archive:
            return {Path(name).suffix.lower() for name in names_in(archive)}
    except SubmissionError:
        return set()
