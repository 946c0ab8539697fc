"""Writing a submission, some rows at a time."""

from pathlib import Path

import pandas as pd

from submit.errors import SubmissionError, refuse
from submit.files.atomic import atomic
from submit.files.csv_writing import header_line, row_lines
from submit.formats.kaggle.answers import answer
from submit.formats.kaggle.checking import faults
from submit.formats.kaggle.sample import Sample, read_sample
from submit.predictions import Predictions
from submit.provenance.record import keep

_CELLS = 2**16  # made into text at a time


UNCHECKED = (
    "not checked against the competition: its columns are `id` and the targets as the predictions name them; "
    "--against sample_submission.csv gives it the competition's rows and names, and checks it."
)


def write(
    predictions: Predictions, path: str | Path, sample: pd.DataFrame | str | Path | None = None
) -> Path:
    """Writes a submission CSV, in the sample's order of rows and columns; without a sample, as the predictions are.

    The sample's form decides: a column for each target or class (logits become probabilities), one column of class
    names (the class with the highest score), or one row for each id and target (`img7_n3,0.5`). Numbers take the
    fewest digits that give the same float32 (or float64, if kept so) back. The predictions' provenance goes into
    `<path>.provenance.json`.
    Raises SubmissionError with every fault found, before anything is written.
    """
    if Path(path).suffix.lower() != ".csv":
        raise SubmissionError(
            f"{path}: a submission is written as .csv; predictions are saved as .npz by their save."
        )
    own = Sample("id", predictions.ids, predictions.targets)
    expected = own if sample is None else read_sample(sample)
    form = answer(predictions, expected, probabilities=sample is not None)
    refuse(path, [*faults(form.table, expected), *form.faults])
    step = max(1, _CELLS // len(expected.columns))
    with atomic(path) as file:
        file.write(header_line([expected.id_column, *expected.columns.tolist()]))
        for start in range(0, len(expected.ids), step):
            rows = slice(start, start + step)
            file.write(row_lines(expected.ids[rows], form.cells(rows)))
    keep(path, predictions.provenance)
    return Path(path)
