"""The truth, read from the tables in which it comes."""

import numpy as np
import pytest

from submit import Labels, Predictions, SubmissionError
from submit.truth import load_truth


@pytest.fixture
def predicted() -> Predictions:
    return Predictions(np.array(["a"]), np.zeros((1, 2)), np.array(["n1", "n0"]))


def test_the_truth_is_taken_out_of_a_table_with_other_columns(tmp_path, predicted):
    (tmp_path / "train.csv").write_text("id,session,n0,note,n1\n01,s1,1.5,,2\n02,s2,3,x,nan\n")
    found = load_truth(tmp_path / "train.csv", predicted)
    assert (found.ids.tolist(), found.targets.tolist()) == (["01", "02"], ["n0", "n1"])
    np.testing.assert_array_equal(found.values, [[1.5, 2], [3, np.nan]])
    found.save(tmp_path / "train.npz")
    np.testing.assert_array_equal(load_truth(tmp_path / "train.npz", predicted).values, found.values)


def test_of_classes_the_truth_is_names(tmp_path, classes):
    (tmp_path / "train.csv").write_text("id,label\n01,1\n02,2\n")
    found = load_truth(tmp_path / "train.csv", classes)
    assert isinstance(found, Labels)
    assert found.labels.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,n0\na,1\n", "1 predicted targets are not among its columns: 'n1'"),
        ("id,note,n0,n1\na,x,1,y\n", r"1 cells are not numbers: row 'a', column 'n1' \('y'\)"),
        ("id,n0,n1\na,1,2\na,1,2\n", "ids: 1 occur more than once: 'a'"),
    ],
)
def test_a_truth_that_lacks_something_is_refused(tmp_path, predicted, text, message):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(SubmissionError, match=f"train.csv: {message}"):
        load_truth(tmp_path / "train.csv", predicted)
