"""Studies over the same seeds, or folds, beside one another: paired differences of their runs of the same name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxlab.core.intervals import Paired
from jaxlab.core.intervals import paired as paired_values
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.variants import overlap, variants_of
from jaxlab.runs.paired import check_pairs


@dataclass(frozen=True)
class PairedStudies:
    """Two studies over the same seeds, or folds: the headline scores of their runs of the same name, paired.

    why: what keeps them from being pairs; "" where they are, or `paired` is None. of_folds: interval and p take into
    account the samples that folds learn in common.
    """

    name: str
    paired: Paired | None
    why: str = ""
    of_folds: bool = False

    def words(self, first: str) -> str:
        """first: the name of the other."""
        one = self.paired
        if one is None:
            return f"{self.name}: no difference to {first}: {self.why}"
        told = f"{self.name} less {first}, over {counted(one.n, 'run')} of the same name: {one.mean:+.4f}"
        if one.n > 1:
            told += f", 95 % interval {one.low:+.4f} to {one.high:+.4f}"
        p = {"paired t": one.p_t, "Wilcoxon": one.p_wilcoxon}
        known = ", ".join(f"p = {value:.2g} ({name})" for name, value in p.items() if np.isfinite(value))
        told += f"; {known}" if known else ""
        return told + ("; corrected for folds that learn in common" if self.of_folds and one.n > 1 else "")


def studies(readings: Sequence[Reading]) -> list[PairedStudies]:
    """Each further study of seeds or folds against the first, where runs of the same name and score are in both."""
    each = [_scored(reading) for reading in readings]
    found = []
    for reading, scores in list(zip(readings, each, strict=True))[1:]:
        pairs = {name: (one, each[0].get(name)) for name, one in scores.items()}
        known = {name: (a[1], b[1]) for name, (a, b) in pairs.items() if b is not None and a[0] == b[0]}
        if not known:
            continue
        try:
            check_pairs(readings[0].rundir, reading.rundir, known)
            shared = overlap(reading.config) if (reading.config or {}).get("type") == "Folds" else 0.0
            mine, first = zip(*known.values(), strict=True)
            difference = paired_values(mine, first, shared)
            found.append(PairedStudies(reading.name, difference, of_folds=shared > 0))
        except UserError as error:
            found.append(PairedStudies(reading.name, None, str(error)))
    return found


def _scored(reading: Reading) -> dict[str, tuple[str, float]]:
    """{seed or fold: (name of its headline, score)}; {} of what is no such study: trials of a number are no pairs."""
    if (reading.config or {}).get("type") not in ("Seeds", "Folds"):
        return {}
    return {
        one.name: (one.headline.name, one.score)
        for one in variants_of(reading.rundir.path)
        if one.headline is not None and one.score is not None
    }
