"""A run of several subjects: the scores of each, of samples that it did not learn."""

from collections.abc import Iterator

from jaxlab.core.types import UserError
from jaxlab.report import frame
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Section, missing
from submit.metrics.table import SCORES
from submit.scores.by_target import ByTarget

_SHOWN = ("pearson", "pearson_median", "noise_normalised", "explained_variance", "spread_ratio_median")


def sections(reading: Reading, quick: bool, subject: str | None) -> Iterator[Section]:
    """One for a run that pools several, unless one `subject` is shown in full. quick: predict nothing."""
    run = reading.run
    if run is None or not run.subjects or subject is not None:
        return
    title, name = "Scores by subject", run.subjects[0]
    if quick:
        yield Section(title, missing(["With --quick nothing is predicted, and these are not kept."]))
        return
    *_, (labelled, found) = run.breakdowns()
    if not isinstance(found, ByTarget):
        raise UserError(f"{run.rundir.path}: expected numbers of every subject")
    rows = found.rows()
    scores = [score for score in _SHOWN if any(score in values for values in rows.values())]
    table = frame.table(
        (
            f"{labelled.split.replace('_', ' ')}, {found.samples:,} samples",
            "targets",
            *(SCORES[score].label if score in SCORES else score.replace("_", " ") for score in scores),
        ),
        [
            (region, str(values["targets"]), *(f"{values[score]:.4f}" for score in scores))
            for region, values in rows.items()
        ],
    )
    yield Section(
        title,
        (table, *missing([f"One subject in full, with predictions against targets: --subject {name}."])),
    )
