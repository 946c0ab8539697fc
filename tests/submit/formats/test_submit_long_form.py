"""Kaggle's long form: a row for each id and target."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from submit import Predictions, SubmissionError, check, write
from submit.formats.kaggle import long_form as module

IDS, TARGETS = np.array(["img_1", "img_10", "0001"]), np.array(["n0", "v_1"])
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2) / 3


@pytest.fixture
def predictions() -> Predictions:
    return Predictions(IDS, VALUES, TARGETS)


def sample_of(folder, ids, column="value"):
    pd.DataFrame({"row_id": ids, column: 0.0}).to_csv(folder / "sample.csv", index=False)
    return folder / "sample.csv"


@pytest.mark.parametrize("separator", ["_", "-", "__", " x "])
def test_each_row_is_found_by_id_and_target(predictions, tmp_path, monkeypatch, separator):
    monkeypatch.setattr(module, "_PAIRS", 4)  # two ids at a time
    cells = {f"{i}{separator}{t}": VALUES[r, c] for r, i in enumerate(IDS) for c, t in enumerate(TARGETS)}
    rows = np.random.default_rng(0).permutation(list(cells))
    sample = sample_of(tmp_path, rows)
    out = pd.read_csv(write(predictions, tmp_path / "out.csv", sample), dtype={"row_id": str})
    assert out.columns.tolist() == ["row_id", "value"]
    assert out["row_id"].tolist() == rows.tolist()
    np.testing.assert_array_equal(out["value"].to_numpy(np.float32), [cells[row] for row in rows])
    assert check(tmp_path / "out.csv", sample) == []
    assert check(predictions, sample) == []


def test_one_target(predictions, tmp_path):
    one = Predictions(IDS, VALUES[:, :1], TARGETS[:1])
    write(one, tmp_path / "out.csv", sample_of(tmp_path, ["img_10_n0", "0001_n0", "img_1_n0"]))
    assert (tmp_path / "out.csv").read_text().split()[1] == "img_10_n0,0.6666667"


def test_pairs_that_the_sample_leaves_out_are_not_written(predictions, tmp_path):
    sample = sample_of(tmp_path, ["img_10_n0", "0001_v_1", "img_1_n0"])
    write(predictions, tmp_path / "out.csv", sample)
    assert len((tmp_path / "out.csv").read_text().split()) == 4


def test_scores_of_classes_are_written_as_probabilities(classes, tmp_path):
    rows = [f"{i}_{c}" for i in classes.ids for c in classes.targets]
    out = pd.read_csv(write(classes, tmp_path / "out.csv", sample_of(tmp_path, rows, "Label")))
    np.testing.assert_allclose(out["Label"], softmax(classes.values, axis=1).ravel(), rtol=1e-6)


def test_what_does_not_fit_is_named(predictions, tmp_path):
    rows = ["img_1_n0", "img_10_n0", "img_11_n0", "img_1_n7"]
    sample = sample_of(tmp_path, rows)
    assert check(predictions, sample) == [
        "Submission must have 4 rows; it has 2",
        "2 ids missing from the submission: 'img_11_n0', 'img_1_n7'",
        "1 ids in the predictions that are not expected: '0001'",
        "1 targets in the predictions that are not expected: 'v_1'",
    ]
    with pytest.raises(SubmissionError, match=r"out\.csv was not written:\n- Submission must have 4 rows"):
        write(predictions, tmp_path / "out.csv", sample)


def test_a_value_that_is_no_number_is_named_by_its_row(tmp_path):
    values = VALUES.copy()
    values[1, 0] = np.nan
    sample = sample_of(tmp_path, [f"{i}_{t}" for i in IDS for t in TARGETS])
    found = check(Predictions(IDS, values, TARGETS), sample)
    assert found == ["1 cells are NaN: row 'img_10_n0', column 'value'"]


def test_an_id_that_can_be_read_in_two_ways_is_refused(tmp_path):
    given = Predictions(np.array(["a", "a_b", "x"]), np.ones((3, 2)), np.array(["c", "b_c"]))
    sample = sample_of(tmp_path, ["x_c", "x_b_c", "a_c", "a_b_c", "a_b_b_c"])
    assert check(given, sample) == [
        "1 ids of the sample submission can be read as more than one predicted id and target: 'a_b_c'"
    ]


def test_several_separators_are_refused(tmp_path):
    given = Predictions(np.array(["a", "a_"]), np.ones((2, 1)), np.array(["b"]))
    found = check(given, sample_of(tmp_path, ["a__b"]))
    assert "can be split into predicted ids and targets in several ways, by '_', '__'" in found[-1]


def test_ids_that_are_neither_are_named(predictions, tmp_path):
    found = check(predictions, sample_of(tmp_path, ["x.n0", "y.n0"]))
    assert "Required column 'value' could not be found" in found
    assert "2 ids missing from the submission: 'x.n0', 'y.n0'" in found
    assert found[-1] == (
        "the sample's only column, 'value', is no target, and its ids are not made of a predicted id and target "
        "either, as 'img_1_n0' would be"
    )
