import numpy as np
import pytest

from submit import Predictions, SubmissionError, align


def test_samples_and_targets_are_found_by_name(odd):
    rows, columns = np.random.default_rng(1).permutation(len(odd)), np.array([2, 0, 1])
    shuffled = Predictions(odd.ids[rows], odd.values[rows][:, columns], odd.targets[columns])
    back = align(shuffled, odd.ids, odd.targets)
    np.testing.assert_array_equal(back.values, odd.values)
    assert back.ids.tolist() == odd.ids.tolist()
    assert back.targets.tolist() == odd.targets.tolist()
    np.testing.assert_array_equal(align(shuffled, odd.ids).values, odd.values[:, columns])


def test_what_does_not_match_is_counted_and_named_all_at_once():
    have = Predictions(np.array([f"i{k}" for k in range(9)]), np.zeros((9, 2)), np.array(["a", "b"]))
    with pytest.raises(SubmissionError) as caught:
        align(have, np.array(["i0", "x"]), np.array(["a", "c"]))
    assert str(caught.value) == (
        "1 ids missing from the predictions: 'x'; "
        "8 ids in the predictions that are not expected: 'i1', 'i2', 'i3', 'i4', 'i5' and 3 more; "
        "1 targets missing from the predictions: 'c'; 1 targets in the predictions that are not expected: 'b'."
    )


def test_repeated_ids_to_align_to_are_refused(odd):
    with pytest.raises(SubmissionError, match="the ids to align to: 1 occur more than once: 'NA'"):
        align(odd, np.array([*odd.ids, "NA"]))


def test_ids_are_compared_as_text():
    have = Predictions(np.array(["0001", "0002"]), np.zeros((2, 1)), np.array(["a"]))
    with pytest.raises(SubmissionError, match="compared as text, so '1' is not '0001'"):
        align(have, np.array(["1", "2"]))
