"""VQA accuracy by hand, by the definition's own loop, and normalisation by the examples of its description."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from submit import SubmissionError
from submit.metrics.vqa import normalise, vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes", "yes"),
        ("Yes.", "yes"),
        ("2.5", "2.5"),
        ("a.m.", "am"),
        ("two", "2"),
        ("None", "0"),
        ("ten dogs", "10 dogs"),
        ("the cat", "cat"),
        ("An apple and a pear", "apple and pear"),
        ("dont", "don't"),
        ("couldntve", "couldntve"),  # two are missing: the description speaks of one
        ("couldnt've", "couldn't've"),
        ("girl's", "girl's"),
        ("2:50 pm", "2:50 pm"),
        ("100,978", "100978"),
        ("red,white", "red white"),
        ("red, white", "red white"),
        ("t-shirt", "t shirt"),
        ("black/white", "black white"),
        ("really?!", "really"),
        ("  to  the\tleft\n", "to left"),
        (" t-shirt- ", "t shirt"),  # what lies around the answer is no space beside a mark
        ("red-\nwhite-blue", "red whiteblue"),  # but a line break is
        ("its", "its"),
        ("a", ""),
    ],
)
def test_answers_are_compared_in_one_form(answer: str, expected: str) -> None:
    assert normalise(answer) == expected


@pytest.mark.parametrize(
    ("same", "expected"),
    # Of 10 annotators `same` gave the answer. One of them left out leaves same - 1, another leaves same:
    # 1: nine times 1/3. 2: twice 1/3 and eight times 2/3. 3: thrice 2/3 and seven times 1. 4 and more: 1.
    [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)],
)
def test_by_hand(same: int, expected: float) -> None:
    answers = [["two"] * same + ["3"] * (10 - same)]
    np.testing.assert_allclose(vqa_accuracy(["2"], answers, "normalised"), [expected], rtol=1e-12)
    if same < 10:
        np.testing.assert_allclose(vqa_accuracy(["2"], answers), [expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs", "as_written"),
    [
        ("Two", "two", 0), ("2", "two", 0), ("a dog", "dog", 0), ("two", "two", 1), (" two\n", "two", 1),
        ("dont", "dont", 1), ("don't", "dont", 0), ("Yes.", "yes", 0), ("t-shirt", "t shirt", 0), ("cat", "dog", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("annotators", [2, 4, 10])
def test_unanimous_answers_are_compared_as_written(ours, theirs, as_written, annotators) -> None:
    """The kind: all annotators agree to the letter, where the benchmark's code (a013f00) normalises neither side.

    By hand: as all others gave the same answer, it is worth min((a - 1) / 3, 1). One annotator who writes it otherwise
    brings the normalising back.
    """
    full = min((annotators - 1) / 3, 1)
    answers = [[theirs] * annotators]
    np.testing.assert_allclose(vqa_accuracy([ours], answers), [as_written * full], rtol=1e-12)
    np.testing.assert_allclose(
        vqa_accuracy([ours], answers, "normalised"), [(ours != "cat") * full], rtol=1e-12
    )
    answers[0][0] = f" the {theirs} "
    np.testing.assert_allclose(vqa_accuracy([ours], answers), [(ours != "cat") * full], rtol=1e-12)
    answers[0][0] = f" {theirs}\t"  # to the letter but for what lies around it
    np.testing.assert_allclose(vqa_accuracy([ours], answers), [as_written * full], rtol=1e-12)


@given(st.lists(st.sampled_from("wxyz"), min_size=2, max_size=12), st.sampled_from("wxyz"))
def test_by_the_definition(answers: list[str], ours: str) -> None:
    """One annotator after the other left out, the rest counted."""
    sets = [answers[:k] + answers[k + 1 :] for k in range(len(answers))]
    expected = np.mean([min(others.count(ours) / 3, 1) for others in sets])
    np.testing.assert_allclose(vqa_accuracy([ours], [answers]), [expected], rtol=1e-12)


def test_many_questions_at_once_and_arrays() -> None:
    answers = np.array([["yes"] * 10, ["no"] * 10, ["yes"] * 2 + ["no"] * 8])
    np.testing.assert_allclose(vqa_accuracy(np.array(["yes", "yes", "yes."]), answers), [1, 0, 0.6])


@pytest.mark.parametrize("answers", [[["a"]], [["a", "b"], ["a", "b"]], ["ab"]])
def test_other_shapes_are_refused(answers: list) -> None:
    with pytest.raises(SubmissionError, match="annotators; found 1 and"):
        vqa_accuracy(["a"], answers)
