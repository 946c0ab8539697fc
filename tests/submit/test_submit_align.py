import numpy as np
import pytest

from submit import Predictions, SubmissionError, align
from submit.alignment import differences


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


@pytest.mark.parametrize(
    ("have", "want", "words"),
    [
        (
            ["IMG_1", "IMG_2"],
            ["img_1", "img_2"],
            "ids: they differ in capital letters: 'img_1' where there is 'IMG_1'",
        ),
        (["1", "2"], ["0001", "0002"], "ids: they differ in zeros before numbers"),
        (["a/x.png", "a/y.png"], ["x.png", "y.png"], "ids: they differ in the folder before them"),
        (
            ["x", "y"],
            ["x.png", "y.png"],
            "ids: they differ in what follows the point: 'x.png' where there is 'x'",
        ),
        (
            ["kitten", "dog", "sheep"],
            ["kitten", "dog", "sheeep"],
            "ids: is this a slip? 'sheep' for 'sheeep'",
        ),
        (["00" * 5000, "b"], ["0", "c"], "they differ in zeros"),
    ],
)
def test_the_names_that_nearly_match_are_named(have, want, words):
    assert words in "; ".join(differences(np.array(have), np.array(want), "ids", "the submission"))


@pytest.mark.parametrize(
    ("have", "want"), [(["s1001"], ["s1002"]), (["a", "b", "c"], ["a", "b"]), (["one"], ["sieben"])]
)
def test_names_that_are_others_are_no_slip(have, want):
    """Two numbers are two samples; and what is only missing, or only too much, is like nothing."""
    found = "; ".join(differences(np.array(have), np.array(want), "ids", "the submission"))
    assert "differ" not in found
    assert "slip" not in found
