"""Scores of single presentations, against loops over targets and images written from the papers' formulas."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from submit import SubmissionError, blocks, ceilings, metrics

SCORES = [
    metrics.noise_corrected_r2,
    metrics.feve,
    metrics.single_trial_correlation,
    metrics.correlation_to_average,
]


def data(missing: bool = False, n: int = 50, r: int = 4, t: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(n, t)) * [1, 2, 0.5, 1, 1]
    repeats = signal[:, None] + rng.normal(size=(n, r, t)) + [0, 100, 3, 0, -5]
    if missing:
        repeats[::5, 2:] = np.nan  # two presentations
        repeats[1::5, 1:] = np.nan  # one
        repeats[7] = np.nan  # none
        repeats[3, 0, 2] = np.nan  # of one target alone
    return signal + 0.5 * rng.normal(size=(n, t)) + 0.2, repeats


def shown(repeats: np.ndarray, target: int) -> list[np.ndarray]:
    """The presentations of each image."""
    return [row[~np.isnan(row)] for row in repeats[:, :, target]]


def corrected(x: np.ndarray, trials: list[np.ndarray]) -> float:
    used = [k for k, y in enumerate(trials) if len(y)]
    x = x[used] - x[used].mean()
    y = np.array([trials[k].mean() for k in used])
    y = y - y.mean()
    noise = np.mean([np.var(y, ddof=1) for y in trials if len(y) > 1])
    noise *= np.mean([1 / len(trials[k]) for k in used])
    sxy, sxx, syy = np.sum(x * y), np.sum(x * x), np.sum(y * y)
    return (sxy**2 - noise * sxx) / (sxx * syy - noise * (len(x) - 1) * sxx)


def explained(x: np.ndarray, trials: list[np.ndarray]) -> float:
    used = [k for k, y in enumerate(trials) if len(y) > 1]
    errors = np.concatenate([(trials[k] - x[k]) ** 2 for k in used])
    noise = np.mean([np.var(trials[k], ddof=1) for k in used])
    total = np.var(np.concatenate([trials[k] for k in used]), ddof=1)
    return 1 - (errors.mean() - noise) / (total - noise)


def single(x: np.ndarray, trials: list[np.ndarray]) -> float:
    each = np.concatenate([np.full(len(y), x[k]) for k, y in enumerate(trials)])
    return pearsonr(each, np.concatenate(trials)).statistic


def to_average(x: np.ndarray, trials: list[np.ndarray]) -> float:
    used = [k for k, y in enumerate(trials) if len(y)]
    return pearsonr(x[used], [trials[k].mean() for k in used]).statistic


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("ours", "loop"), list(zip(SCORES, [corrected, explained, single, to_average], strict=True))
)
def test_scores_are_those_of_the_formula(ours, loop, missing):
    pred, repeats = data(missing)
    expected = [loop(pred[:, k], shown(repeats, k)) for k in range(5)]
    np.testing.assert_allclose(ours(pred, repeats), expected, rtol=1e-9)


def test_the_noise_corrected_r2_has_no_bias():
    """Of 40 images with 3 noisy presentations; the plain r^2 lies far below the true 0.5. Tolerance: 3 sd."""
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(40, 4000))
    pred = signal + rng.normal(size=signal.shape)
    repeats = signal[:, None] + 2 * rng.normal(size=(40, 3, 4000))
    found = metrics.noise_corrected_r2(pred, repeats)
    assert found.mean() == pytest.approx(0.5, abs=3 * found.std() / np.sqrt(4000) + 0.01)
    assert (metrics.pearson(pred, repeats.mean(1)) ** 2).mean() < 0.3


def test_feve_leaves_out_targets_that_are_noise():
    pred, repeats = data()
    repeats[:, :, 1] = np.random.default_rng(2).normal(size=repeats.shape[:2])
    fev = ceilings.explainable_variance(repeats)
    assert (fev < 0.15).tolist() == [False, True, False, False, False]
    expected = [explained(pred[:, k], shown(repeats, k)) for k in (0, 2, 3, 4)]
    np.testing.assert_allclose(metrics.feve(pred, repeats), expected, rtol=1e-9)
    assert metrics.feve(pred, repeats, least=0.9).shape == (0,)


def test_predictions_may_tell_presentations_apart():
    """As Sensorium's models do, by behaviour; the average is taken over the same presentations as the response's."""
    pred, repeats = data(missing=True)
    each = pred[:, None] + np.random.default_rng(3).normal(size=repeats.shape)
    there = ~np.isnan(repeats)
    for k in range(5):
        expected = pearsonr(each[:, :, k][there[:, :, k]], repeats[:, :, k][there[:, :, k]]).statistic
        assert metrics.single_trial_correlation(each, repeats)[k] == pytest.approx(expected, rel=1e-9)
        rows = there[:, :, k].any(1)
        means = [np.nanmean(np.where(there, side, np.nan)[rows, :, k], axis=1) for side in (each, repeats)]
        expected = pearsonr(*means).statistic
        assert metrics.correlation_to_average(each, repeats)[k] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("score", [SCORES[0], SCORES[2], SCORES[3]], ids=lambda score: score.__name__)
def test_what_becomes_of_undefined_targets(score):
    pred, repeats = data()
    pred[:, 1] = 0.1
    repeats[:, :, 3] = 0.1
    pred[2, 4] = np.nan
    whole = score(*data())
    assert score(pred, repeats)[[1, 3, 4]].tolist() == [0, 0, 0]
    assert np.isnan(score(pred, repeats, constant="nan")).tolist() == [False, True, False, True, True]
    np.testing.assert_allclose(score(pred, repeats, constant="drop"), whole[[0, 2]], rtol=1e-12)


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_what_is_constant_has_no_score_whatever_its_value(score):
    """0.1 + 0.1 + 0.1 is not 0.3: the mean of three presentations is not that of two."""
    varied, constant = np.random.default_rng(4).normal(size=(7, 3, 1)), np.full((7, 3, 1), 0.1)
    varied[1:, 2], constant[1:, 2] = np.nan, np.nan
    assert not score(varied[:, 0], constant).any()
    if score is not metrics.feve:  # to which a constant prediction is like any other
        assert np.isnan(score(constant[:, 0], varied, constant="nan"))


def test_many_targets_are_as_few(monkeypatch):
    pair = data(missing=True)
    whole = [score(*pair) for score in SCORES]
    monkeypatch.setattr(blocks, "CELLS", 250)  # a target at a time
    np.testing.assert_allclose([score(*pair) for score in SCORES], whole, rtol=1e-12)


def test_other_shapes_are_refused():
    for score in SCORES:
        with pytest.raises(SubmissionError, match=r"found \(50, 4, 5\) and \(50, 4\)"):
            score(data()[0][:, 1:], data()[1])
