"""Checking a submission of any format: which it is shows from its name and content."""

from pathlib import Path

import pandas as pd

from submit import algonauts, algonauts2021, kaggle, sensorium, vqa_results
from submit.errors import SubmissionError
from submit.predictions import Predictions
from submit.table import read_header
from submit.zips import open_zip


def check(
    submission: Predictions | pd.DataFrame | str | Path, against: pd.DataFrame | str | Path | None = None
) -> list[str]:
    """Every fault of a submission; an empty list when there is none.

    submission -> what it is held against:
        CSV, npz, predictions or table: Kaggle's sample_submission.csv, which it needs
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
    if suffix in (".csv", ".npz"):
        return _kaggle(path, against)
    if suffix == ".json":
        return vqa_results.check(path, _path(against))
    if suffix == ".pkl" or (suffix == ".zip" and _holds_pickle(path)):
        return algonauts2021.check(path, _path(against))
    if suffix == ".zip" or path.is_dir():
        return algonauts.check(path, _path(against))
    raise SubmissionError(f"{path}: expected a folder or a file .csv, .npz, .json, .pkl or .zip.")


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


def _holds_pickle(path: Path) -> bool:
    try:
        with open_zip(path) as archive:
            return any(name.lower().endswith(".pkl") for name in archive.namelist())
    except SubmissionError:
        return False
