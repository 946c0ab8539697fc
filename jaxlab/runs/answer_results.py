"""Answers to questions as the JSON that their challenge takes: `jaxlab predict RUN --out results.json`."""

from collections.abc import Sequence
from pathlib import Path

from jaxlab.core.types import UserError
from jaxlab.data.source import Results
from jaxlab.runs.run import Run
from submit import Predictions, vizwiz_results, vqa_results

_WRITE = {form.FORMAT.name: form.write for form in (vqa_results, vizwiz_results)}


def results_of(runs: Sequence[Run], out: Path, split: str) -> Results:
    """How the runs' predictions of a split are handed in as JSON.

    Raises UserError for runs of data whose challenge takes none, and for ones that predict something else.
    """
    run = runs[0]
    found, source = run.source.results(split), type(run.source).__name__
    if found is None:
        raise UserError(
            f"--out {out}: JSON holds answers to the questions of VQAv2() or VizWiz(), and the data of "
            f"{run.rundir.path} are {source}(): expected a .csv or .npz file"
        )
    if run.primary.of != "label":
        raise UserError(
            f"--out {out}: JSON holds answers to questions, and {run.rundir.path} predicts {run.primary.name!r}: "
            "expected a .csv or .npz file"
        )
    return found


def write_results(found: Results, predictions: Predictions, out: Path) -> str:
    """Write the likeliest answers. Returns words on what they were checked against.

    Raises SubmissionError, and then writes nothing, where questions are without an answer.
    """
    _WRITE[found.form](predictions, out, found.questions)
    return (
        f", checked against {found.questions}"
        if found.questions
        else ", of a part of the questions: not checked"
    )
