"""Scores on the host against scipy and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import pearsonr, tstd
from sklearn.metrics import explained_variance_score, f1_score, mean_squared_error, top_k_accuracy_score

from jaxlab.evaluate import scores
from jaxlab.evaluate.scores import scores_of, scores_of_blocks
from jaxlab.metrics import ClassificationSums, RegressionSums
from submit.scores.by_target import by_target
from submit.scores.pairing import PairedNumbers

RNG = np.random.default_rng(3)


def test_of_numbers():
    truth = RNG.normal(size=(30, 4)).astype(np.float32)
    values = (truth + RNG.normal(size=truth.shape)).astype(np.float32)
    r = np.array([pearsonr(values[:, t], truth[:, t])[0] for t in range(4)])
    ceiling = np.array([0.5, 0.9, 0.0, 0.7])
    known = ceiling > 0
    assert scores_of(values, truth, ceiling) == pytest.approx(
        {
            "pearson": r.mean(),
            "pearson_median": np.median(r),
            "explained_variance": explained_variance_score(truth, values),
            "mse": mean_squared_error(truth, values),
            "spread_ratio": (tstd(values) / tstd(truth)).mean(),
            "spread_ratio_median": np.median(tstd(values) / tstd(truth)),
            "noise_normalised": (r[known] / np.sqrt(ceiling[known])).mean(),
        },
        rel=1e-5,
    )
    assert "noise_normalised" not in scores_of(values, truth)


@pytest.mark.filterwarnings("error")
def test_a_subject_without_samples_has_no_part():
    """As one of several has no validation sample: it changes nothing, and by itself has no score."""
    truth = RNG.normal(size=(9, 2))
    values = truth + RNG.normal(size=truth.shape)
    none = np.empty((0, 3))
    r = [pearsonr(values[:, t], truth[:, t])[0] for t in range(2)]
    ceiling = np.array([0.1, 0.1, 0.1, 0.5, 1.0])
    found = scores_of_blocks([(none, none), (values, truth)], ceiling)
    assert found["pearson"] == pytest.approx(np.mean(r))
    assert found["noise_normalised"] == pytest.approx(np.mean(r / np.sqrt([0.5, 1.0])))
    assert np.isnan(list(scores_of_blocks([(none, none)]).values())).all()
    pair = PairedNumbers(np.array([], np.str_), np.array(["a", "b", "c"]), none, none, *([],) * 2)
    shown = by_target(pair, missing=True)
    assert (shown.samples, shown.rows()["overall"]["targets"]) == (0, 0)
    assert np.isnan(shown.summary()["pearson"])


def test_targets_of_a_single_sample_have_no_part_in_correlations(nans_allowed):
    """As a subject with one validation image has; on the host, on the devices and in details, against scipy."""
    truth = RNG.normal(size=(9, 3)).astype(np.float32)
    values = truth + RNG.normal(size=truth.shape).astype(np.float32)
    truth[1:, 2] = np.nan
    r = [pearsonr(values[:, t], truth[:, t])[0] for t in range(2)]
    ceiling = np.array([0.5, 0.0, 0.9])
    sums = RegressionSums.start(3, missing=True).add(
        *map(jnp.asarray, (values, truth, np.zeros(9, np.float32)))
    )
    pair = PairedNumbers(
        np.arange(9).astype(str), np.array(["a", "b", "c"]), values, truth, *(np.arange(9),) * 2
    )
    details = by_target(pair, ceiling, missing=True)
    for found in (scores_of(values, truth, ceiling), sums.compute(ceiling), details.summary()):
        assert found["pearson"] == pytest.approx(np.mean(r), rel=1e-5)
        assert found["noise_normalised"] == pytest.approx(r[0] / np.sqrt(0.5), rel=1e-5)
    error = np.nanmean((values - truth) ** 2, axis=0).mean()
    assert scores_of(values, truth)["mse"] == pytest.approx(error, rel=1e-5)
    assert sums.compute()["mse"] == pytest.approx(error, rel=1e-5)
    assert details.rows()["overall"]["targets"] == 2


def test_scores_have_the_same_names_whatever_is_known():
    """So that training may be told to watch them before there are any."""
    ceiling = np.array([0.0, 0.5])
    found = RegressionSums.start(2, missing=True).compute(ceiling)
    assert np.isnan(found["noise_normalised"])
    none = np.full((3, 2), np.nan)
    none[:, 0] = 1, 2, 4  # the target without a ceiling
    assert np.isnan(scores_of(np.ones((3, 2)), none, ceiling)["noise_normalised"])


def test_of_classes_the_unknown_one_counts_as_wrong():
    logits, label = RNG.normal(size=(40, 7)).astype(np.float32), RNG.integers(0, 7, 40)
    found = scores_of(logits, label)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == label).mean())
    assert found["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(label, logits, k=5, labels=range(7)))
    right = logits.argmax(1) == label
    label[::3] = -1
    right[::3] = False
    assert scores_of(logits, label)["accuracy"] == pytest.approx(right.mean())
    assert set(scores_of(logits, np.full(40, -1)).values()) == {0.0}


def test_many_logits_are_looked_at_in_pieces(monkeypatch):
    """Of 443,757 questions with 1,000 answers each, all at once would be tens of gigabytes."""
    logits, label = RNG.normal(size=(48, 7)).astype(np.float32), RNG.integers(0, 7, 48)
    monkeypatch.setattr(scores, "_ROWS", 16)
    seen, add = [], ClassificationSums.add
    monkeypatch.setattr(
        ClassificationSums,
        "add",
        lambda sums, rows, *rest: (seen.append(len(rows)), add(sums, rows, *rest))[1],
    )
    found = scores_of(logits, label)
    assert seen == [16, 16, 16]
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == label).mean())
    assert found["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(label, logits, k=5, labels=range(7)))
    assert found["f1_macro"] == pytest.approx(f1_score(label, logits.argmax(1), average="macro"))
