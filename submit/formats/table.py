"""The submission formats, and checking a submission of any of them: which it is shows from its name and content.

Adding a format is a file beside this one that ends in its `FORMAT`, and a line in `FORMATS`.
"""

from pathlib import Path

import pandas as pd

from submit.errors import SubmissionError, either
from submit.formats import algonauts, algonauts2021, kaggle, sensorium, vizwiz_results, vqa_results
from submit.formats.format import Against, Format, SubmissionFile
from submit.predictions import Predictions

# In the order of the help. The last that recognises a file has it: what takes any CSV, or any zip, comes first.
FORMATS: tuple[Format, ...] = (
    kaggle.FORMAT,
    algonauts.FORMAT,
    algonauts2021.FORMAT,
    vqa_results.FORMAT,
    vizwiz_results.FORMAT,
    sensorium.FORMAT,
)


def check(submission: Predictions | pd.DataFrame | str | Path, against: Against = None) -> list[str]:
    """Every fault of a submission; an empty list when there is none.

    submission -> what it is held against:
        CSV, npz, predictions or table: Kaggle's sample_submission.csv, which it needs; a CSV may be packed, as .csv.gz
            or alone in a zip
        CSV with Sensorium's columns: the session's folder, or a CSV of its trials
        zip or folder: the data of Algonauts 2023; without, the challenge's sizes
        pkl, or a zip with one: the training data of Algonauts 2021
        json: VQA's questions; with images in place of question_ids, VizWiz's JSON of the split

    Raises SubmissionError where `against` cannot be used, or is needed and not there.
    """
    if isinstance(submission, Predictions | pd.DataFrame):
        return kaggle.FORMAT.check(submission, against)
    file = SubmissionFile(Path(submission), against)
    form = format_of(file)
    if isinstance(against, pd.DataFrame) and form is not kaggle.FORMAT:
        raise SubmissionError("A table is a sample for Kaggle's CSV only; expected a file or a folder.")
    return form.check(file.path, against)


def format_of(file: SubmissionFile) -> Format:
    """The format that a file is of. Raises SubmissionError, with what could be checked, where it is of none."""
    for form in reversed(FORMATS):
        if form.recognise(file):
            return form
    readable = either(suffix for form in FORMATS for suffix in form.reads if suffix)
    raise SubmissionError(f"{file.path}: expected a folder or a file {readable}.")
