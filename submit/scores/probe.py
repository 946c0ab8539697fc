"""Do values belong to their ids and columns? Shuffled ids must make the score collapse, and no other order beat it.

What is found is sure: chance does it to one of a thousand aligned predictions. What may be, and what these samples and
targets could not show, is noted.

A score is here a sum over samples and columns of a (n, t) times b (n, t), the first made of predictions, the second of
the truth: unit-length centred columns give the mean Pearson r, one-hot rows the accuracy. So a product of the two over
columns holds the score of every order of samples, and one over samples that of every order of columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from submit.errors import SubmissionError
from submit.metrics.table import headline
from submit.scores.exchanged_columns import MOST_COLUMNS, exchanged
from submit.scores.exchanged_orders import Rearrangement, orders, rearrangements
from submit.scores.exchanged_rows import MOST_ROWS, exchanged_rows, needed, shifted_part, standing_out
from submit.scores.pairing import PairedClasses, PairedNumbers

SHUFFLES = 1000

_RUN = 64  # neighbours, and runs of them, at most: the products are (n, n)
_FEWEST, _FEWEST_COLUMNS = 10, 8
_SHOWS = 0.25  # a correlation, or a gain in accuracy, that a score at chance would have shown
_SURE = 3.3  # deviations beyond which chance takes a score one time in 2,000
_CHANCE = 0.001  # of an order of ids, or of columns, being called better where it is not


@dataclass(frozen=True, eq=False)
class Probe:
    """score: by id, the headline score (`measure`), over `samples`; shuffled: (s,) that of shuffled ids.

    rows, columns: the same in other orders of ids and of targets or classes, by description, best first.
    findings: sentences on what is misaligned; empty when nothing surely is. notes: on what may be, or would go unseen.
    """

    measure: str
    samples: int
    score: float
    shuffled: np.ndarray
    rows: Mapping[str, float]
    columns: Mapping[str, float]
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        low, high = np.percentile(self.shuffled, [2.5, 97.5])
        return {
            "measure": self.measure,
            "samples": self.samples,
            "score": self.score,
            "shuffled": {
                "mean": float(self.shuffled.mean()),
                "low": float(low),
                "high": float(high),
                "highest": float(self.shuffled.max()),
            },
            "ids_in_other_orders": dict(self.rows),
            "columns_in_other_orders": dict(self.columns),
            "findings": list(self.findings),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Order:
    """The score in another order, and how probable so large a gain is where it is no better."""

    score: float
    chance: float

    @classmethod
    def of(cls, each: np.ndarray, own: np.ndarray) -> "_Order":
        """(n,) what each sample adds to the score, and adds by name."""
        gain = each.astype(np.float64) - own
        spread = gain.std(ddof=1) / np.sqrt(len(gain))
        chance = float(stats.t.sf(gain.mean() / spread, len(gain) - 1)) if spread > 0 else 1.0
        return cls(float(each.sum(dtype=np.float64)), chance)


def probe(pair: PairedNumbers | PairedClasses, shuffles: int = SHUFFLES, seed: int = 0) -> Probe:
    """The score by id beside those of shuffled ids, of other orders of ids, and of other orders of columns.

    Another order is called better where a t-test over samples says so: neighbours that are alike, as where samples
    are sorted by class, score nearly as much one late. So are parts of an order from some id on, as where a sample was
    lost. Single samples are called exchanged where their values stand out as one another's among all samples', which
    takes some thirty independent targets. A score within what shuffles reach is a finding where a correlation of 0.25
    would have shown, and a note otherwise: few samples, or targets that share their signals, cannot tell. Of more than
    4,096 samples 64 runs of 64 neighbours are probed, and of more than 1,024 columns no exchange of a few. Columns so
    much alike, or so badly predicted, that these samples do not tell them apart can be exchanged unseen. Raises
    SubmissionError for fewer than 10 samples.
    """
    if len(pair.ids) < _FEWEST:
        raise SubmissionError(f"expected {_FEWEST} samples or more to shuffle; found {len(pair.ids)}.")
    some = _spread(len(pair.ids))
    a, b = _factors(pair, some)
    ids, names = pair.ids[some], pair.targets if isinstance(pair, PairedNumbers) else pair.classes
    column = pair.column if isinstance(pair, PairedNumbers) else np.arange(len(names))
    what = "targets" if isinstance(pair, PairedNumbers) else "classes"
    every = a @ b.T  # of each sample's values as another's
    score = float(np.trace(every))
    shuffled = _shuffled(every, shuffles, seed)
    rows = _of_rows(every, rearrangements(ids, pair.place[some], "ids"))
    columns = _of_columns(a, b, rearrangements(names, column, what) if len(names) > 1 else {})
    findings, notes = _by_id(score, shuffled)
    doubtful = bool(findings or notes)
    if better := _better(rows, float(shuffled.max()), score, _CHANCE * (len(rows) if doubtful else 1)):
        findings += better
    else:
        if doubtful:  # an order that no shuffle reaches is the likely one, by however few samples
            notes += [f"it may be that {one}" for one in _better(rows, float(shuffled.max()), score, np.inf)]
        more, unseen = _of_some_rows(pair, a, b, every, ids, pair.place[some])
        findings, notes = findings + more, notes + unseen
    highest = _highest_of_shuffled_columns(a, b, shuffles, seed)
    if better := _better(columns, highest, score, _CHANCE):
        findings += better
    elif swapped := exchanged(a, b, names, _CHANCE):
        findings.append(f"{what} seem exchanged: {swapped}.")
    elif not findings and not notes and score <= highest:
        notes.append(
            f"by name the {what} score {score:.4f}, not above what {shuffles:,} shuffles of them reach "
            f"({highest:.4f}): they are exchanged, or much the same is predicted for all, or they are much the same."
        )
    by_row, by_column = ({name: order.score for name, order in each.items()} for each in (rows, columns))
    return Probe(
        headline(pair.kind).label, len(ids), score, shuffled, by_row, by_column, tuple(findings), tuple(notes)
    )


def _spread(samples: int) -> np.ndarray | slice:
    """Which samples are probed: all, or runs from first to last, so that those sorted by class are of every class."""
    if samples <= _RUN**2:
        return slice(None)
    starts = np.linspace(0, samples - _RUN, _RUN).astype(int)
    return (starts[:, None] + np.arange(_RUN)).ravel()


def _factors(pair: PairedNumbers | PairedClasses, some: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
    """a, b (n, t) float32; zero where a column is constant or not finite, or a sample has no class."""
    if isinstance(pair, PairedNumbers):
        a, b = (_unit(side[some]) for side in (pair.predicted, pair.truth))
        return a / np.float32(a.shape[1]), b
    classes = np.arange(len(pair.classes))
    a, b = ((side[some][:, None] == classes).astype(np.float32) for side in (pair.predicted, pair.truth))
    return a / np.float32(len(b)), b


def _unit(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        centred = values - values.mean(0, dtype=np.float64)
        length = np.sqrt(np.einsum("nt,nt->t", centred, centred))
        good = np.isfinite(length) & (values.min(0) < values.max(0))
        return np.where(good, centred / length, 0).astype(np.float32)


def _shuffled(every: np.ndarray, shuffles: int, seed: int) -> np.ndarray:
    rng, own = np.random.default_rng(seed), np.arange(len(every))
    return np.array([every[rng.permutation(len(every)), own].sum() for _ in range(shuffles)], np.float64)


def _of_rows(every: np.ndarray, others: Mapping[str, Rearrangement]) -> dict[str, _Order]:
    own = np.diagonal(every)
    return _best_first({name: _Order.of(every[under, of], own[of]) for name, (under, of) in others.items()})


def _of_columns(a: np.ndarray, b: np.ndarray, others: Mapping[str, Rearrangement]) -> dict[str, _Order]:
    own = (a * b).sum(1, dtype=np.float64)
    found = {
        name: _Order.of((a[:, under] * b[:, of]).sum(1, dtype=np.float64), own)
        for name, (under, of) in others.items()
    }
    return _best_first(found)


def _highest_of_shuffled_columns(a: np.ndarray, b: np.ndarray, shuffles: int, seed: int) -> float:
    """Of more than 1,024 columns as many stand for all, evenly; fewer than 8 have too few orders, and none."""
    columns = a.shape[1]
    if columns < _FEWEST_COLUMNS:
        return -np.inf
    some = np.unique(np.linspace(0, columns - 1, min(columns, MOST_COLUMNS)).astype(int))
    drawn = _shuffled(a[:, some].T @ b[:, some], shuffles, seed)
    return float(drawn.max()) * columns / len(some)


def _best_first(orders: Mapping[str, _Order]) -> dict[str, _Order]:
    return dict(sorted(orders.items(), key=lambda item: -item[1].score))


def _by_id(score: float, shuffled: np.ndarray) -> tuple[list[str], list[str]]:
    """A finding, or where it is not sure a note, that the ids score no more than shuffled ones."""
    highest = float(shuffled.max())
    if score > highest:
        return [], []
    what = (
        f"by id the score is {score:.4f}, not above what {len(shuffled):,} shuffles of the ids reach ({highest:.4f}): "
        "the values do not belong to their ids or columns, or predict nothing"
    )
    if score + _SURE * shuffled.std() < _SHOWS and score <= np.percentile(shuffled, 97.5):
        return [f"{what}."], []
    return [], [f"{what}, or so little that chance hides it."]


def _of_some_rows(
    pair: PairedNumbers | PairedClasses,
    a: np.ndarray,
    b: np.ndarray,
    every: np.ndarray,
    ids: np.ndarray,
    place: np.ndarray,
) -> tuple[list[str], list[str]]:
    """Findings on a part of the ids, and notes on what would go unseen of it."""
    part = shifted_part(every, orders(ids, place), ids, _CHANCE)
    if part is not None:
        score = float(np.trace(every))
        return [
            f"the score is {part.score:.4f}, not {score:.4f}, if they are taken so: {part.description}."
        ], []
    if isinstance(pair, PairedClasses) or len(ids) > MOST_ROWS:
        return [], ["an exchange of a few samples is not looked for" + _why(pair)]
    fits = standing_out(a, b)
    if swapped := exchanged_rows(fits, ids):
        return [f"ids seem exchanged: {swapped}."], []
    typical = float(np.median(np.nan_to_num(np.diagonal(fits))))
    if typical >= needed(len(ids)):
        return [], []
    return [], [
        f"an exchange of a few samples would go unseen: their own values stand out by {typical:.1f} deviations among "
        f"those of all samples, and {needed(len(ids)):.1f} tell one from another."
    ]


def _why(pair: PairedNumbers | PairedClasses) -> str:
    if isinstance(pair, PairedClasses):
        return ": a class is not of one sample alone."
    return f" among more than {MOST_ROWS:,}."


def _better(orders: Mapping[str, _Order], highest: float, score: float, chance: float) -> list[str]:
    """On the best of the orders (best first) that beat the score by more than chance, and all shuffles."""
    for name, order in orders.items():
        if order.chance < chance / len(orders) and order.score > highest:
            return [f"the score is {order.score:.4f}, not {score:.4f}, if they are taken so: {name}."]
    return []
