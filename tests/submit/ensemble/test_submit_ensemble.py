from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata, spearmanr, trim_mean

from submit import Predictions, SubmissionError, mean, rank_average, trimmed_mean, weighted
from submit.ensemble import sorting


def prediction(ids: str, values: list[list[float]], targets: str = "ab", **more) -> Predictions:
    return Predictions(np.array(list(ids)), np.array(values), np.array(list(targets)), **more)


FIRST = prediction("xyz", [[1, 2], [3, 4], [5, 6]])
OTHER = prediction(
    "zyx", [[60, 50], [40, 30], [20, 10]], "ba"
)  # the first times ten, rows and columns reversed


def test_mean_is_taken_by_name():
    found = mean([FIRST, OTHER])
    assert found.ids.tolist() == ["x", "y", "z"]
    assert found.targets.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found.values, np.float32([[5.5, 11], [16.5, 22], [27.5, 33]]))
    assert [part["weight"] for part in found.provenance["ensemble"]] == [1, 1]


def test_weights_are_relative_and_members_may_come_from_an_iterator():
    found = weighted(iter([FIRST, OTHER]), [3, 1])
    np.testing.assert_allclose(found.values, FIRST.values * 13 / 4, rtol=1e-7)
    np.testing.assert_array_equal(weighted([FIRST, OTHER], [0.75, 0.25]).values, found.values)


def test_subjects_whose_ids_and_targets_are_called_the_same_have_no_mean():
    left, right = (replace(FIRST, provenance={"subject": name}) for name in ("m1", "m2"))
    with pytest.raises(SubmissionError, match=r"^Prediction 2 is of subject 'm2', Prediction 1 of 'm1'"):
        mean([left, right])
    np.testing.assert_array_equal(mean([left, left]).values, FIRST.values)
    np.testing.assert_allclose(mean([left, OTHER]).values, FIRST.values * 11 / 2)  # a run of its own data


def test_a_member_of_weight_0_counts_for_nothing():
    broken = replace(OTHER, values=np.array([[np.nan, 50], [40, np.inf], [20, 10]]))
    np.testing.assert_array_equal(weighted([FIRST, broken], [2, 0]).values, FIRST.values)
    assert np.isnan(weighted([FIRST, broken], [2, 1]).values[2, 1])


def test_many_rows_are_added_as_few():
    rng = np.random.default_rng(0)
    ids = np.array([str(i) for i in range(200)])
    members = [Predictions(ids, rng.standard_normal((200, 3)), np.array(list("abc"))) for _ in range(3)]
    expected = np.mean([member.values.astype(float) for member in members], axis=0)
    np.testing.assert_allclose(mean(members).values, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            prediction("xyw", [[0, 0]] * 3),
            "Prediction 2 does not match Prediction 1: 1 ids missing .*: 'z'",
        ),
        (prediction("xyz", [[0, 0]] * 3, "ac"), "1 targets missing from the predictions: 'b'"),
        (replace(FIRST, kind="logits"), "Prediction 2 is of kind 'logits', Prediction 1 of 'regression'"),
    ],
)
def test_members_that_differ_are_refused(other, message):
    with pytest.raises(SubmissionError, match=message):
        mean([FIRST, other])


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [0, 0], [1, -1], [1, np.nan]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(SubmissionError, match="weights: "):
        weighted([FIRST, OTHER], weights)


def test_no_members_are_refused():
    with pytest.raises(SubmissionError, match="no predictions to combine"):
        mean([])


NOT_FINITE = prediction("xyz", [[0, 0], [np.nan, 0], [0, np.inf]])


def members(count: int, n: int = 40, **more) -> list[Predictions]:
    rng = np.random.default_rng(3)
    ids, targets = np.array([f"i{k}" for k in range(n)]), np.array(list("abc"))
    return [Predictions(ids, rng.standard_normal((n, 3)) * 10, targets, **more) for _ in range(count)]


@pytest.mark.parametrize("combine", [mean, lambda some: weighted(some, [1, 1, 1])])
def test_of_logits_probabilities_are_averaged(combine):
    some = members(3, kind="logits")
    some[1] = replace(some[1], values=softmax(some[1].values, axis=1), kind="probabilities")
    found = combine(some)
    expected = np.mean([softmax(some[i].values.astype(float), axis=1) for i in (0, 2)], axis=0) * 2 / 3
    np.testing.assert_allclose(found.values, expected + some[1].values / 3, rtol=1e-5)
    assert found.kind == "probabilities"


def test_rank_average_orders_by_mean_rank(monkeypatch):
    some = members(4)
    some[1] = replace(some[1], values=np.round(some[1].values))  # ties
    found = rank_average(some).values
    ranks = np.mean([rankdata(member.values, axis=0) for member in some], axis=0)
    for target in range(3):
        assert spearmanr(found[:, target], ranks[:, target]).statistic == pytest.approx(1)
    monkeypatch.setattr(sorting, "_CELLS", 40)  # one target at a time
    np.testing.assert_array_equal(rank_average(some).values, found)


def test_rank_average_has_the_targets_units():
    """A member alone, and one beside a copy on another scale, come back as they are, or half as much larger."""
    one = members(1)[0]
    np.testing.assert_allclose(rank_average([one]).values, one.values, rtol=1e-6)
    larger = replace(one, values=one.values * 2 + 4)
    np.testing.assert_allclose(rank_average([one, larger]).values, one.values * 1.5 + 2, rtol=1e-5)


def test_rank_average_by_hand():
    """Ranks 1 2 3 and 1 3 2 have the means 1, 2.5 and 2.5; sorted values have the means 1, 3 and 6."""
    some = [prediction("xyz", [[0], [2], [4]], "a"), prediction("xyz", [[2], [8], [4]], "a")]
    assert rank_average(some).values.tolist() == [[1], [4.5], [4.5]]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.45])
def test_trimmed_mean_is_scipys(share):
    some = members(5, n=100)
    expected = trim_mean([member.values.astype(float) for member in some], share, axis=0)
    np.testing.assert_allclose(trimmed_mean(some, share).values, expected, rtol=1e-5)


@pytest.mark.parametrize(("number", "cut"), [(3, 1), (4, 1), (5, 1), (9, 1), (10, 2), (49, 9)])
def test_a_trimmed_mean_cuts_a_fifth_or_one_by_default(number, cut):
    some = members(number)
    expected = np.sort([member.values.astype(float) for member in some], axis=0)[cut:-cut].mean(0)
    np.testing.assert_allclose(trimmed_mean(some).values, expected, rtol=1e-5)


def test_a_share_of_one_member_cuts_one_however_it_is_rounded():
    """1 / 49 * 49 is 0.9999999999999999."""
    some = members(49)
    expected = np.sort([member.values.astype(float) for member in some], axis=0)[1:-1].mean(0)
    np.testing.assert_allclose(trimmed_mean(some, 1 / 49).values, expected, rtol=1e-5)
    for share in (0.5, np.nan):
        with pytest.raises(SubmissionError, match="share: expected a number below"):
            trimmed_mean(some, share)


def test_trimmed_probabilities_sum_to_one():
    some = members(5, kind="logits")
    found = trimmed_mean(some)
    expected = trim_mean([softmax(member.values.astype(float), axis=1) for member in some], 0.2, axis=0)
    np.testing.assert_allclose(found.values, expected / expected.sum(1, keepdims=True), rtol=1e-5)
    sure = [prediction("x", [row], "abc", kind="probabilities") for row in np.eye(3)]
    np.testing.assert_allclose(trimmed_mean(sure, 0.34).values, np.full((1, 3), 1 / 3), rtol=1e-6)


@pytest.mark.parametrize("combine", [rank_average, trimmed_mean])
def test_members_are_matched_by_name_whatever_is_done_with_them(combine):
    rng, some = np.random.default_rng(0), members(5)
    rows, columns = rng.permutation(40), [2, 0, 1]
    moved = [
        replace(m, ids=m.ids[rows], values=m.values[rows][:, columns], targets=m.targets[columns])
        for m in some[1:]
    ]
    np.testing.assert_array_equal(combine([some[0], *moved]).values, combine(some).values)


@pytest.mark.parametrize(
    ("combine", "some", "message"),
    [
        (rank_average, [], "no predictions to combine"),
        (rank_average, [FIRST, prediction("xyw", [[0, 0]] * 3)], "1 ids missing .*: 'z'"),
        (rank_average, members(2, kind="logits"), "predictions of kind 'logits' order classes by sample"),
        (rank_average, [FIRST, NOT_FINITE], "Prediction 2: 2 values .* id 'y', target 'a'"),
        (lambda some: trimmed_mean(some, 0.2), members(4), "at least 1/4, .*; found 0.2"),
        (trimmed_mean, members(2), "needs three predictions or more, found 2"),
        (lambda some: trimmed_mean(some, np.nan), members(4), "found nan"),
        (lambda some: trimmed_mean(some, np.inf), members(4), "found inf"),
        (lambda some: trimmed_mean(some, 0.5), members(4), "found 0.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_sorted_is_refused(combine, some, message):
    with pytest.raises(SubmissionError, match=message):
        combine(some)


@pytest.mark.parametrize(
    "combine", [mean, rank_average, trimmed_mean, lambda some, names: weighted(some, [1, 1, 1], names)]
)
def test_members_are_called_by_their_names(combine):
    names, third = ["a.npz", "b.npz", "c.npz"], prediction("xyw", [[0, 0]] * 3)
    with pytest.raises(SubmissionError, match=r"^c\.npz does not match a\.npz: 1 ids missing .*: 'z'"):
        combine([FIRST, OTHER, third], names=names)
