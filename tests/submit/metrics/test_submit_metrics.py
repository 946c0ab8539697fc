import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score, top_k_accuracy_score

from submit import SubmissionError, blocks, metrics


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((40, 7)) * [1, 10, 0.01, 1, 1, 1, 1] + [0, 0, 0, 1000, 0, 0, 5]
    return truth + rng.standard_normal((40, 7)) + 0.3, truth


def test_correlation_is_scipys(pair):
    expected = [pearsonr(x, y).statistic for x, y in zip(*(side.T for side in pair), strict=True)]
    np.testing.assert_allclose(metrics.pearson(*pair), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.explained_variance, explained_variance_score),
        (metrics.r2, r2_score),
        (metrics.mse, mean_squared_error),
    ],
)
def test_the_others_are_scikit_learns(pair, ours, theirs):
    pred, truth = pair
    np.testing.assert_allclose(ours(pred, truth), theirs(truth, pred, multioutput="raw_values"), rtol=1e-12)


def test_by_hand():
    pred, truth = np.array([[1.0], [2], [4]]), np.array([[1.0], [3], [5]])
    np.testing.assert_allclose(metrics.pearson(pred, truth), 6 / np.sqrt(14 / 3 * 8))
    np.testing.assert_allclose(metrics.explained_variance(pred, truth), 1 - (2 / 9) / (8 / 3))
    np.testing.assert_allclose(metrics.r2(pred, truth), 1 - 2 / 8)


def test_many_targets_are_scored_as_few(pair, monkeypatch):
    whole = [metrics.pearson(*pair), metrics.explained_variance(*pair), metrics.mse(*pair)]
    monkeypatch.setattr(blocks, "CELLS", 80)  # two targets at a time
    parts = [metrics.pearson(*pair), metrics.explained_variance(*pair), metrics.mse(*pair)]
    np.testing.assert_allclose(parts, whole, rtol=1e-13)


def test_float32_input_is_summed_in_float64():
    rng = np.random.default_rng(0)
    truth = (rng.standard_normal((20_000, 2)) + 1e4).astype(np.float32)
    pred = (truth + rng.standard_normal(truth.shape)).astype(np.float32)
    expected = [
        pearsonr(x.astype(float), y.astype(float)).statistic for x, y in zip(pred.T, truth.T, strict=True)
    ]
    np.testing.assert_allclose(metrics.pearson(pred, truth), expected, rtol=1e-10)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("value", [0.1, np.nan, np.inf])
def test_what_becomes_of_constant_and_non_finite_targets(pair, side, value):
    pair = [array.copy() for array in pair]
    pair[side][:, 2] = 0.1
    pair[side][3, 2] = value
    others = [0, 1, 3, 4, 5, 6]
    expected = metrics.pearson(*(array[:, others] for array in pair))
    assert np.flatnonzero(metrics.undefined(*pair)).tolist() == [2]
    assert metrics.pearson(*pair)[2] == 0
    assert np.isnan(metrics.pearson(*pair, constant="nan")[2])
    np.testing.assert_allclose(metrics.pearson(*pair, constant="drop"), expected, rtol=1e-12)
    np.testing.assert_allclose(metrics.pearson(*pair)[others], expected, rtol=1e-12)


def test_a_constant_prediction_still_has_a_variance_score():
    truth = np.array([[1.0], [2], [3]])
    np.testing.assert_allclose(metrics.explained_variance(np.ones((3, 1)), truth), 0)
    np.testing.assert_allclose(metrics.r2(np.ones((3, 1)), truth), 1 - 5 / 2)
    assert metrics.explained_variance(truth, np.ones((3, 1))) == 0
    assert metrics.r2(truth, np.ones((3, 1)), constant="drop").shape == (0,)


def test_an_unknown_policy_and_other_shapes_are_refused(pair):
    with pytest.raises(SubmissionError, match="'zero', 'nan' or 'drop'; found 'skip'"):
        metrics.pearson(*pair, constant="skip")
    with pytest.raises(SubmissionError, match=r"found \(40, 6\) and \(40, 7\)"):
        metrics.pearson(pair[0][:, :6], pair[1])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_scikit_learns(k):
    rng = np.random.default_rng(0)
    scores, truth = rng.standard_normal((200, 8)), rng.integers(0, 8, 200)
    assert metrics.top_k_accuracy(scores, truth, k) == top_k_accuracy_score(
        truth, scores, k=k, labels=range(8)
    )


def test_ties_follow_arg_max_and_nan_is_wrong():
    assert metrics.top_k_accuracy(np.zeros((4, 4)), np.arange(4), 1) == 0.25
    assert metrics.top_k_accuracy(np.zeros((4, 4)), np.arange(4), 3) == 0.75
    assert metrics.top_k_accuracy(np.array([[np.nan, 0], [1, 0]]), np.array([0, 0]), 1) == 0.5


def test_a_class_that_is_none_of_the_scores_is_wrong_and_no_number_refused():
    scores = np.array([[0, 1], [0, 1]])
    assert metrics.among_top(scores, np.array([1, -1]), 2).tolist() == [True, False]
    for truth in ([1, 2], [1.0, 0.0], [1, -2]):
        with pytest.raises(SubmissionError, match="truth: expected class numbers from 0 to 1"):
            metrics.among_top(scores, np.array(truth), 1)


def test_accuracy_of_names():
    assert metrics.accuracy(np.array(["a", "bb", "c"]), np.array(["a", "b", "c"])) == pytest.approx(2 / 3)
    assert metrics.accuracy(np.array(["a", "b"], object), np.array(["a", "c"])) == 0.5


def test_names_are_not_compared_with_numbers():
    for score in (metrics.accuracy, metrics.confusion_matrix, metrics.precision_recall_f1):
        with pytest.raises(SubmissionError, match="names on both sides, or numbers; found <U1 and int64"):
            score(np.array(["1", "2"]), np.array([1, 2]))
    with pytest.raises(SubmissionError, match="names on both sides, or numbers"):
        metrics.confusion_matrix(np.array([1]), np.array([1]), np.array(["1"]))


@pytest.mark.parametrize("kind", [object, str, complex])
def test_what_is_no_number_is_refused(pair, kind):
    for score in (metrics.pearson, metrics.r2, metrics.mse):
        with pytest.raises(SubmissionError, match="expected numbers; found"):
            score(pair[0].astype(kind), pair[1])


def test_noise_normalised_leaves_out_targets_without_a_ceiling():
    np.testing.assert_allclose(metrics.noise_normalised([0.5, 0.3, 0.2], [0.25, 0, 1]), [1.0, 0.2])


@pytest.mark.parametrize(
    ("ceiling", "message"),
    [
        ([0.5, 0.5], r"expected 3 numbers.*found float64 of shape \(2,\)"),
        ([0.5, 81, np.nan], "between 0 and 1.*found 81, nan at position '1', '2'"),
        ([-0.1, 0.5, 0.5], "found -0.1 at position '0'"),
        (["a", "b", "c"], "expected 3 numbers"),
    ],
)
def test_a_bad_ceiling_is_refused(ceiling, message):
    with pytest.raises(SubmissionError, match=message):
        metrics.noise_normalised(np.zeros(3), np.array(ceiling))
