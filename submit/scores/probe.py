"""Do values belong to their ids and columns? Shuffled ids must make the score collapse, and no other order beat it.

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
from submit.scores.exchanged_orders import Rearrangement, rearrangements
from submit.scores.pairing import PairedClasses, PairedNumbers

SHUFFLES = 1000

_RUN = 64  # neighbours, and runs of them, at most: the products are (n, n)
_FEWEST, _FEWEST_COLUMNS = 10, 8
_CHANCE = 0.001  # of an order of ids, or of columns, being called better where it is not


@dataclass(frozen=True, eq=False)
class Probe:
    """score: by id, the headline score (`measure`), over `samples`; shuffled: (s,) that of shuffled ids.

    rows, columns: the same in other orders of ids and of targets or classes, by description, best first.
    findings: sentences on what seems misaligned; empty when nothing does. See `probe` for what goes unseen.
    """

    measure: str
    samples: int
    score: float
    shuffled: np.ndarray
    rows: Mapping[str, float]
    columns: Mapping[str, float]
    findings: tuple[str, ...]

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
    are sorted by class, score nearly as much one late; where the ids score no more than shuffled, beating all shuffles
    will do. Of more than 4,096 samples 64 runs of 64 neighbours are probed,
    and of more than 1,024 columns no exchange of a few. Columns so much alike, or so badly predicted, that these
    samples do not tell them apart can be exchanged unseen. Raises SubmissionError for fewer than 10 samples.
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
    findings = _by_id(score, shuffled)
    # where the ids are known to be wrong, an order that no shuffle reaches is the likely one, by however few samples
    findings += _better(rows, float(shuffled.max()), score, np.inf if findings else _CHANCE)
    highest = _highest_of_shuffled_columns(a, b, shuffles, seed)
    if better := _better(columns, highest, score, _CHANCE):
        findings += better
    elif swapped := exchanged(a, b, names, _CHANCE):
        findings.append(f"{what} seem exchanged: {swapped}.")
    elif not findings and score <= highest:
        findings.append(
            f"by name the {what} score {score:.4f}, not above what {shuffles:,} shuffles of them reach "
            f"({highest:.4f}): they are exchanged, or the same is predicted for all."
        )
    by_row, by_column = ({name: order.score for name, order in each.items()} for each in (rows, columns))
    return Probe(headline(pair.kind).label, len(ids), score, shuffled, by_row, by_column, tuple(findings))


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


def _by_id(score: float, shuffled: np.ndarray) -> list[str]:
    highest = float(shuffled.max())
    if score > highest:
        return []
    return [
        f"by id the score is {score:.4f}, not above what {len(shuffled):,} shuffles of the ids reach "
        f"({highest:.4f}): the values do not belong to their ids or columns, or predict nothing."
    ]


def _better(orders: Mapping[str, _Order], highest: float, score: float, chance: float) -> list[str]:
    """On the best of the orders (best first) that beat the score by more than chance, and all shuffles."""
    for name, order in orders.items():
        if order.chance < chance / len(orders) and order.score > highest:
            return [f"the score is {order.score:.4f}, not {score:.4f}, if they are taken so: {name}."]
    return []
