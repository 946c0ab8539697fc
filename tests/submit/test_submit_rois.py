"""Regions of targets, and the truth, read from the files in which they come."""

import numpy as np
import pytest

from submit import Labels, Predictions, SubmissionError
from submit.rois import load_rois
from submit.truth import load_truth

TARGETS = np.array(["n0", "n1", "n2", "n3"])


def test_masks_and_a_table_say_the_same(tmp_path):
    masks = {"V1": np.array([True, False, False, True]), "faces, left": np.array([True, True, False, False])}
    np.savez(tmp_path / "rois.npz", **masks)
    (tmp_path / "rois.csv").write_text('target,roi\nn3,V1\nn1,"faces, left"\nn0,V1\nn0,"faces, left"\n')
    for name in ("rois.npz", "rois.csv"):
        found = load_rois(tmp_path / name, TARGETS)
        assert list(found) == list(masks)
        for roi, mask in masks.items():
            assert found[roi].dtype == bool
            assert found[roi].tolist() == mask.tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "target,roi\nn0,V1\nm,V1\nm,V2\n", "1 targets are not among the 4 there are: 'm'"),
        ("x.csv", "roi,target\nV1,n0\n", "expected the columns target,roi; found roi,target"),
        ("x.csv", "target,roi\n", "a line for each target in a region, found none"),
        ("x.csv", None, "the file cannot be read"),
        ("x.npz", None, "there is no such file"),
        ("x.npz", "text", "expected an npz of masks"),
        ("x.npz", {"V1": np.ones(3, bool), "V2": np.ones(4)}, r"'V1' is bool of shape \(3,\), 'V2' is float64"),
        ("x.npz", {}, "found none"),
        ("x.txt", "", "expected a .npz of masks, or a .csv"),
    ],
)  # fmt: skip
def test_files_that_are_no_regions_are_refused(tmp_path, name, content, message):
    if isinstance(content, dict):
        np.savez(tmp_path / name, **content)
    elif content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SubmissionError, match=f"{name}: .*{message}"):
        load_rois(tmp_path / name, TARGETS)


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
