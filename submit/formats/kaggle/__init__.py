"""A Kaggle submission: checked against sample_submission.csv, every fault at once, and only then written.

The sample says which form is asked for: a column a target, a column a class (probabilities), one column of class
names, or one row for each id and target, as `img7_n3,0.5`.
"""

from pathlib import Path

import pandas as pd

from submit.errors import SubmissionError
from submit.formats.format import Against, Format
from submit.formats.kaggle.checking import check
from submit.formats.kaggle.sample import Sample, read_sample
from submit.formats.kaggle.writing import UNCHECKED, write
from submit.predictions import Predictions

__all__ = ["UNCHECKED", "Sample", "check", "read_sample", "write"]


def _check(submission: Predictions | pd.DataFrame | Path, against: Against) -> list[str]:
    if against is None:
        raise SubmissionError(
            "A Kaggle submission is checked against the competition's sample_submission.csv (--against)."
        )
    return check(submission, against)


FORMAT = Format(
    name="kaggle",
    writes=(".csv",),
    reads=(".csv", ".csv.gz", ".npz", ".zip"),
    recognise=lambda file: file.is_csv or file.suffix == ".npz",
    write=lambda predictions, path, sample: [write(Predictions.load(predictions), path, sample)],
    check=_check,
    against="Kaggle's sample submission",
    title="a CSV for Kaggle (as .csv.gz or alone in a .zip, too) or an npz",
    usage=("a CSV. --against sample_submission.csv",),
    unchecked=UNCHECKED,
)
