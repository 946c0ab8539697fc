from dataclasses import replace

import numpy as np
import pytest

from submit import Predictions, SubmissionError, mean, weighted


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
            "Prediction 2 does not match the first: 1 ids missing .*: 'z'",
        ),
        (prediction("xyz", [[0, 0]] * 3, "ac"), "1 targets missing from the predictions: 'b'"),
        (replace(FIRST, kind="logits"), "Prediction 2 is of kind 'logits', the first of 'regression'"),
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
