"""A score depends neither on the unit of the values nor on where they lie, and whole numbers are compared exactly.

The kind: values whose differences float32 rounds away (large whole numbers, an offset, a unit beyond its range),
wherever they come from (a CSV, arrays, presentations) and whoever reads them.
"""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.metrics import explained_variance_score

from submit import Labels, Predictions, bootstrap, ensemble, score, write
from submit.cli.main import main
from submit.precision import as_precise
from submit.scores.pairing import paired
from submit.scores.probe import probe
from submit.scores.repeats import load_repeats

IDS = np.array([f"i{k:02d}" for k in range(60)])
TARGETS = np.array(["a", "b"])
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(60, 2))
GUESS = TRUTH + RNG.normal(size=(60, 2))
EXPECTED = [pearsonr(x, y).statistic for x, y in zip(GUESS.T, TRUTH.T, strict=True)]
# (factor, offset): tesla, picovolts, counts since an epoch, the ends of the range
UNITS = [(1e-13, 0.0), (1e15, 0.0), (1.0, 1e8), (1.0, -1e9), (1e-30, 0.0), (1e30, 0.0), (1e-13, 1e-7)]


def of(values: np.ndarray) -> Predictions:
    return Predictions(IDS, values, TARGETS, split="")


@pytest.mark.parametrize(("factor", "offset"), UNITS)
def test_scores_are_those_of_plain_units(factor, offset, tmp_path):
    guess, truth = (of(values * factor + offset) for values in (GUESS, TRUTH))
    rounding = 1e-5 + 60 * 2**-52 * abs(offset) / factor  # what float64 itself has lost
    pairs = [(guess, truth)]
    pairs.append((write(guess, tmp_path / "guess.csv"), write(truth, tmp_path / "truth.csv")))
    pairs.append((guess.save(tmp_path / "guess.npz"), truth.save(tmp_path / "truth.npz")))
    for one, other in pairs:
        found = score(one, other)
        np.testing.assert_allclose(found.pearson, EXPECTED, atol=rounding)
        expected = explained_variance_score(TRUTH, GUESS, multioutput="raw_values")
        np.testing.assert_allclose(found.explained_variance, expected, atol=rounding)
        assert (found.constant, found.constant_truth) == (0, 0)
    both = paired(guess, truth)
    assert probe(both, shuffles=20).score == pytest.approx(np.mean(EXPECTED), abs=rounding)
    plain = bootstrap.interval(GUESS, TRUTH, draws=20)
    found = bootstrap.interval(both.predicted, both.truth, draws=20)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=10 * rounding)


@pytest.mark.parametrize("way", [ensemble.mean, ensemble.rank_average, ensemble.trimmed_mean])
def test_combining_loses_nothing_either(way):
    members = [of(values + 1e9) for values in (GUESS, GUESS + 0.25, GUESS + 0.5)]
    np.testing.assert_allclose(way(members).values - 1e9, GUESS + 0.25, atol=1e-5)


@pytest.mark.parametrize("first", [3, 2**24, 10**9, 2**52, 10**17, 10**25])
def test_whole_numbers_are_equal_where_they_are_the_same(first, tmp_path):
    numbers = [first + 7 * k for k in range(60)]
    wrong = [number + 1 for number in numbers[:45]] + numbers[45:]
    for name, column in {"truth": numbers, "guess": wrong}.items():
        rows = [f"{name},{number}" for name, number in zip(IDS, column, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,label", *rows]))
    found = CliRunner().invoke(
        main, ["score", *(str(tmp_path / f"{x}.csv") for x in ("guess", "truth")), "--json"]
    )
    assert json.loads(found.stdout)["accuracy"] == 15 / 60, found.output


def test_presentations_are_read_as_precisely(tmp_path):
    rows = [
        f"{name},{float(1e8 + x)!r}" for name, x in zip(np.repeat(IDS, 2), RNG.normal(size=120), strict=True)
    ]
    (tmp_path / "repeats.csv").write_text("\n".join(["id,a", *rows]))
    found = load_repeats(tmp_path / "repeats.csv", IDS, TARGETS[:1])
    written = [float(row.split(",")[1]) for row in rows]
    np.testing.assert_allclose(found.ravel(), written, rtol=3e-16)  # to the last bit but one


def test_what_needs_no_more_stays_float32():
    kept = {
        "responses": GUESS,
        "rounded": np.round(GUESS, 2),
        "few counts": np.arange(6.0).reshape(3, 2),
        "constant": np.full((3, 2), 0.1),
        "nothing": np.empty((0, 2)),
        "unknown": np.full((3, 2), np.nan),
        "infinite": np.array([[np.inf], [0.5], [0.1]]),
    }
    assert {name: as_precise(values).dtype.name for name, values in kept.items()} == dict.fromkeys(
        kept, "float32"
    )
    lost = {"offset": GUESS + 1e6, "large counts": np.array([[2**24], [2**24 + 1]]), "range": GUESS * 1e300}
    assert {name: as_precise(values).dtype.name for name, values in lost.items()} == dict.fromkeys(
        lost, "float64"
    )
    assert Labels(IDS[:1], np.array(["5"])).labels.dtype.kind == "U"
