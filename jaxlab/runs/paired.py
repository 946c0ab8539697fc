"""Two studies over the same seeds, compared seed by seed."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from jaxlab.core.config import differences
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.experiment.ablation import WHOLE
from jaxlab.runs.scored import Row
from jaxlab.runs.seeds import SeedsRun
from jaxlab.runs.worth import Difference
from jaxlab.runs.worth import differences as paired_rows
from jaxlab.training.rundir import RunDirectory

OTHER = "other"


class Compared(NamedTuple):
    """rows: of each score the first study minus the second: `whole` is the first's mean, `without` the second's.

    seeds: those that both have. note: a sentence where one has seeds that the other has not; else "".
    """

    rows: list[Difference]
    seeds: tuple[str, ...]
    note: str


def compared(one: SeedsRun, other: SeedsRun) -> Compared:
    """Paired differences of every score of both: mean, sd, 95 % interval, p of a paired t test and of Wilcoxon's.

    Raises UserError where they have no seed in common, and where data, targets or the samples for validation of a seed
    differ, since their difference would be that of the samples, too.
    """
    seeds = tuple(name for name in one.runs if name in other.runs)
    if not seeds:
        raise UserError(
            f"{one.rundir.path} and {other.rundir.path} have no seed in common ({examples(one.runs)}; "
            f"{examples(other.runs)}), so that there are no pairs"
        )
    check_pairs(one.rundir, other.rundir, seeds)
    rows = {WHOLE: _of(one, seeds), OTHER: _of(other, seeds)}
    return Compared(paired_rows(rows), seeds, _note(one, other, seeds))


def check_pairs(one: RunDirectory, other: RunDirectory, variants: Iterable[str]) -> None:
    """Raises UserError where a variant of that name is not of the same samples in both studies.

    By run.json and config.json: data, targets, and what divides the samples.
    """
    for name in variants:
        first, second = (_samples(RunDirectory(study.path / name)) for study in (one, other))
        if changes := differences(first, second):
            raise UserError(
                f"{one.path} and {other.path}: {name} is not of the same samples in both, so that it is no pair: "
                f"{examples(changes, 3)}"
            )


def _samples(run: RunDirectory) -> dict[str, Any]:
    """What says which samples are learned and which are for validation."""
    info, config = run.info(), run.config()
    found = {"data": info["data"]["fingerprint"][:12], "targets": info["task"].get("targets")}
    found["folds"] = config.get("folds")
    while isinstance(config.get("experiment"), dict):
        config = config["experiment"]
    return {**found, "split": config.get("split"), "limit": config.get("limit")}


def _of(study: SeedsRun, seeds: tuple[str, ...]) -> list[Row]:
    return [row for row in study.rows if row.variant in seeds]


def _note(one: SeedsRun, other: SeedsRun, seeds: tuple[str, ...]) -> str:
    if len(seeds) == len(one.runs) == len(other.runs):
        return ""
    return (
        f"{len(seeds)} seeds are in both and are compared ({examples(seeds)}), of {len(one.runs)} in {one.rundir.path} "
        f"and {len(other.runs)} in {other.rundir.path}"
    )
