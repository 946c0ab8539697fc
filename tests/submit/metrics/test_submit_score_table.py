import math

import numpy as np
import pytest
from scipy.stats import pearsonr, tstd
from sklearn.metrics import (
    accuracy_score,
    explained_variance_score,
    mean_squared_error,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from submit import SubmissionError
from submit.metrics.table import ANSWER_TYPES, SCORES, headline, headline_of, of_answer_type, score_of

CEILING = np.array([0.25, 0, 0.64, 1, 0.5])


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    truth = rng.normal([0, 1, 100, -2, 0], 1, (60, 5))
    return truth + rng.standard_normal((60, 5)), truth


@pytest.fixture
def classes():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 7, 200)
    return rng.standard_normal((200, 7)) + 2 * np.eye(7)[truth], truth


def _correlations(pred, truth):
    return np.array([pearsonr(x, y).statistic for x, y in zip(pred.T, truth.T, strict=True)])


OF_NUMBERS = {
    "pearson": lambda pred, truth: _correlations(pred, truth).mean(),
    "pearson_median": lambda pred, truth: np.median(_correlations(pred, truth)),
    "explained_variance": lambda pred, truth: explained_variance_score(truth, pred),
    "mse": lambda pred, truth: mean_squared_error(truth, pred),
    "spread_ratio": lambda pred, truth: np.mean(
        [tstd(x) / tstd(y) for x, y in zip(pred.T, truth.T, strict=True)]
    ),
    "spread_ratio_median": lambda pred, truth: np.median(
        [tstd(x) / tstd(y) for x, y in zip(pred.T, truth.T, strict=True)]
    ),
    "constant_targets": lambda pred, truth: 0,
}

OF_CLASSES = {
    "accuracy": lambda scores, truth: accuracy_score(truth, scores.argmax(1)),
    **{
        f"top_{k}_accuracy": lambda scores, truth, k=k: top_k_accuracy_score(truth, scores, k=k)
        for k in (2, 3, 4, 5)
    },
    **{
        f"{rate}_{average}": lambda scores, truth, i=i, average=average: precision_recall_fscore_support(
            truth, scores.argmax(1), average=average, zero_division=0
        )[i]
        for average in ("macro", "micro")
        for i, rate in enumerate(("precision", "recall", "f1"))
    },
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_scores_of_numbers_are_scipys_and_scikit_learns(numbers, name):
    np.testing.assert_allclose(SCORES[name].definition(*numbers), OF_NUMBERS[name](*numbers), rtol=1e-12)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_scores_of_classes_are_scikit_learns(classes, name):
    np.testing.assert_allclose(SCORES[name].definition(*classes), OF_CLASSES[name](*classes), rtol=1e-12)


def test_a_ceiling_counts_where_it_is_above_nothing(numbers):
    r = _correlations(*numbers)
    expected = np.mean([r[0] / 0.5, r[2] / 0.8, r[3], r[4] / np.sqrt(0.5)])
    score = SCORES["noise_normalised"]
    assert score.ceiling
    np.testing.assert_allclose(score.definition(*numbers, CEILING), expected, rtol=1e-12)
    assert math.isnan(score.definition(*numbers, np.zeros(5)))


def test_every_score_is_tested_here_by_an_independent_definition():
    of_texts = {name for name in SCORES if name.startswith("vqa_accuracy")}  # test_submit_vqa.py
    assert {*OF_NUMBERS, *OF_CLASSES, "noise_normalised", "loss"} == set(SCORES) - of_texts
    assert of_texts == {"vqa_accuracy", *map(of_answer_type, ANSWER_TYPES)}
    assert all(
        score.kind == kind
        for kind, names in (("regression", OF_NUMBERS), ("classification", OF_CLASSES))
        for score in (SCORES[name] for name in names)
    )
    assert (SCORES["loss"].kind, SCORES["loss"].definition) == (None, None)


def test_a_constant_target_is_counted_and_scores_nothing(numbers):
    pred, truth = numbers
    truth[:, 1] = 4
    assert SCORES["constant_targets"].definition(pred, truth) == 1
    rest = [0, 2, 3, 4]
    expected = _correlations(pred[:, rest], truth[:, rest]).sum() / 5
    np.testing.assert_allclose(SCORES["pearson"].definition(pred, truth), expected, rtol=1e-12)


def test_a_class_that_is_none_of_these_is_wrong_and_never_a_class_of_its_own():
    scores, truth = np.array([[2.0, 1], [2, 1], [1, 2]]), np.array([0, -1, 1])
    assert SCORES["accuracy"].definition(scores, truth) == pytest.approx(2 / 3)
    assert SCORES["precision_macro"].definition(scores, truth) == pytest.approx((1 / 2 + 1) / 2)
    assert SCORES["recall_macro"].definition(scores, truth) == 1
    assert SCORES["precision_micro"].definition(scores, truth) == pytest.approx(2 / 3)


def test_scores_that_are_not_finite_choose_no_class():
    scores, truth = np.array([[np.nan, 1], [2, 1]]), np.array([1, 0])
    assert SCORES["accuracy"].definition(scores, truth) == 0.5
    assert SCORES["recall_micro"].definition(scores, truth) == 0.5
    assert SCORES["precision_micro"].definition(scores, truth) == 1


def test_each_kind_has_one_headline():
    assert headline("regression").name == "pearson"
    assert headline("classification").name == "accuracy"
    assert sum(score.headline for score in SCORES.values()) == 2


def test_the_headline_of_a_record_is_the_first_it_has():
    assert headline_of(["step", "loss", "mse", "pearson", "pearson_median"]) == "pearson"
    assert headline_of({"loss": 1.0, "top_5_accuracy": 0.9, "accuracy": 0.5}) == "accuracy"
    with pytest.raises(SubmissionError, match="pearson or accuracy; found step, loss"):
        headline_of(["step", "loss"])


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [("pearson", 0.2, 0.1), ("mse", 0.1, 0.2), ("spread_ratio", 1.1, 0.8), ("spread_ratio", 0.9, 1.2)],
)
def test_which_of_two_values_is_better(name, better, worse):
    score = SCORES[name]
    assert score.improves(better, worse)
    assert not score.improves(worse, better)
    assert not score.improves(better, better)
    assert score.improves(worse, None)
    assert score.improves(worse, math.nan)
    assert not any(score.improves(math.nan, old) for old in (None, worse, math.nan))


def test_only_losses_and_errors_are_better_when_low():
    lower = {score.name for score in SCORES.values() if score.better == "lower"}
    assert lower == {"loss", "mse"}
    near = {score.name for score in SCORES.values() if score.better == "near 1"}
    assert near == {"spread_ratio", "spread_ratio_median"}
    assert {score.name for score in SCORES.values() if score.better is None} == {"constant_targets"}


def test_the_spread_is_that_of_targets_that_vary(numbers):
    pred, truth = numbers
    pred[:, 0], truth[:, 1] = 3, 4
    expected = [0, *(tstd(pred[:, k]) / tstd(truth[:, k]) for k in (2, 3, 4))]
    np.testing.assert_allclose(SCORES["spread_ratio"].definition(pred, truth), np.mean(expected), rtol=1e-12)
    assert math.isnan(SCORES["spread_ratio"].definition(pred, 0 * truth))


def test_worth_sorts_from_worse_to_better():
    values = [0.3, math.nan, -0.1, 0.2]
    assert sorted(values, key=SCORES["accuracy"].worth)[1:] == [-0.1, 0.2, 0.3]
    assert sorted(values, key=SCORES["loss"].worth)[1:] == [0.3, 0.2, -0.1]


def test_a_count_is_never_better():
    with pytest.raises(SubmissionError, match="constant_targets tells nothing of quality"):
        SCORES["constant_targets"].improves(1, None)


def test_an_unknown_name_is_told_its_neighbours_and_all_names():
    assert score_of("mse") is SCORES["mse"]
    with pytest.raises(SubmissionError, match=r"no score 'peerson' \(did you mean pearson.*known are loss, "):
        score_of("peerson")
    with pytest.raises(SubmissionError, match="no score 'zzzz'; known are loss, pearson, "):
        score_of("zzzz")
