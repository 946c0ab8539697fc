"""Selection by target: for each target the mean of its best members, as a loop over targets has it."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr

from submit import Labels, Predictions, SubmissionError, ensemble
from submit.cli.main import main
from submit.ensemble import cross_products
from submit.ensemble.sharing import SharedSamples

N, M, T = 60, 5, 7
IDS = np.array([f"i{k:02d}" for k in range(N)])
TARGETS = np.array([f"n{k}" for k in range(T)])


def of(values: np.ndarray, split: str = "validation", **more) -> Predictions:
    return Predictions(IDS, values, TARGETS[: values.shape[1]], split=split, **more)


def planted() -> tuple[list[np.ndarray], np.ndarray]:
    """Members with as much noise as differs by target."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(N, T))
    return [truth + rng.normal(size=(N, T)) * rng.uniform(0.5, 3, T) for _ in range(M)], truth


def r_of(x: np.ndarray, y: np.ndarray) -> float:
    return pearsonr(x, y).statistic if np.ptp(x) and np.ptp(y) else np.nan


def loop(values: list[np.ndarray], truth: np.ndarray, keep: int) -> np.ndarray:
    """(t, m) weights, a target and a member after another."""
    weights = np.zeros((truth.shape[1], len(values)))
    for t in range(truth.shape[1]):
        each = [(r_of(one[:, t], truth[:, t]), number) for number, one in enumerate(values)]
        ranked = sorted((-round(r, 12), number) for r, number in each if not np.isnan(r))
        taken = [number for _, number in ranked[:keep]] or list(range(len(values)))
        weights[t, taken] = 1 / len(taken)
    return weights


def pooled(values: list[np.ndarray], truth: np.ndarray, part: np.ndarray, keep: int) -> float:
    """Mean r of all samples' predictions, those of a part by members chosen in the other ones.

    Each member is taken about its own mean over all samples, as other combinations are scored.
    """
    centred = [one - one.mean(0) for one in values]
    made = np.empty_like(truth)
    for j in np.unique(part):
        inside = part == j
        weights = loop([one[~inside] for one in values], truth[~inside], keep)
        made[inside] = np.einsum("tm,mnt->nt", weights, np.stack([one[inside] for one in centred]))
    return float(np.mean(np.nan_to_num([r_of(x, y) for x, y in zip(made.T, truth.T, strict=True)])))


@pytest.mark.parametrize("keep", [None, 1, 3])
def test_selection_is_the_loop_over_targets(keep, monkeypatch):
    """And its score the loop's, within loops: the number to keep is chosen without the part that is scored."""
    values, truth = planted()
    truth[:, 2] = 1.0  # nothing to choose by
    values[1][:, 4] = 0.5  # a member without a score for one target
    values[0][:, 5] = values[3][:, 5]  # of equal ones the first
    members = [of(one) for one in values]
    part = SharedSamples.of(members, of(truth, "")).part()
    numbers = range(1, M + 1) if keep is None else [keep]

    def best(rows: np.ndarray) -> int:
        scores = [pooled([one[rows] for one in values], truth[rows], part[rows], k) for k in numbers]
        return max(zip(scores, numbers, strict=True))[1]

    monkeypatch.setattr(cross_products, "_CELLS", 400)  # two targets at a time
    found = ensemble.select(members, of(truth, ""), keep=keep)
    number = best(np.ones(N, bool))
    assert found.kept == number
    np.testing.assert_allclose(found.by_target(), loop(values, truth, number))
    made = np.empty_like(truth)
    for j in range(5):
        inside, rest = part == j, part != j
        weights = loop([one[rest] for one in values], truth[rest], best(rest))
        made[inside] = np.einsum(
            "tm,mnt->nt", weights, np.stack([(one - one.mean(0))[inside] for one in values])
        )
    expected = np.mean(np.nan_to_num([r_of(x, y) for x, y in zip(made.T, truth.T, strict=True)]))
    assert found.score == found.scores["select"] == pytest.approx(expected, rel=1e-7)


def test_fewer_members_with_a_score_than_are_kept():
    values, truth = planted()
    for one in values[:3]:
        one[:, 4] = 2.0
    found = ensemble.select([of(one) for one in values], of(truth, ""), keep=4)
    np.testing.assert_allclose(found.by_target()[4], [0, 0, 0, 0.5, 0.5])


def test_it_takes_part_in_best_and_is_explained(tmp_path):
    values, truth = planted()
    members = [of(one) for one in values]
    assert "select" in ensemble.best(members, of(truth, "")).scores
    found = ensemble.select(members, of(truth, ""), keep=2)
    fresh = [replace(one, split="test", values=one.values + 1) for one in members]
    made = found.apply(fresh)
    expected = np.einsum("tm,mnt->nt", loop(values, truth, 2), np.stack(values) + 1)
    np.testing.assert_allclose(made.values, expected, atol=1e-6)
    assert (made.provenance["method"], made.provenance["kept"]) == ("select", 2)
    said = CliRunner().invoke(main, ["explain", str(made.save(tmp_path / "made.npz"))]).output
    assert "selection by target: the best 2 of 5" in said
    shares = [one["weight"] for one in made.provenance["ensemble"]]
    np.testing.assert_allclose(shares, loop(values, truth, 2).mean(0))


def test_what_cannot_be_selected_is_refused():
    values, truth = planted()
    members = [of(one) for one in values]
    for keep in (6, 0, 1.5):
        with pytest.raises(
            SubmissionError, match=f"keep: expected a number of members from 1 to 5, found {keep}"
        ):
            ensemble.select(members, of(truth, ""), keep=keep)
    classes = [replace(one, kind="logits") for one in members]
    with pytest.raises(SubmissionError, match="for regressions; of classes, choose greedy selection"):
        ensemble.select(classes, Labels(IDS, TARGETS[truth.argmax(1)]))
