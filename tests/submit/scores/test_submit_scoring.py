import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from submit import Labels, Predictions, SubmissionError, load_ceiling, score, write

TARGETS = np.array(["n0", "n1", "n2"])


@pytest.fixture
def truth() -> Predictions:
    values = np.random.default_rng(0).standard_normal((60, 3))
    return Predictions(np.array([f"{i:04d}" for i in range(60)]), values, TARGETS)


@pytest.fixture
def guess(truth) -> Predictions:
    noise = np.random.default_rng(1).standard_normal(truth.values.shape)
    return Predictions(truth.ids, truth.values + noise, truth.targets)


def test_scores_are_scipys_in_the_solutions_order(truth, guess):
    rows, columns = np.random.default_rng(2).permutation(60), [2, 0, 1]
    moved = Predictions(guess.ids[rows], guess.values[rows][:, columns], TARGETS[columns])
    found = score(moved, truth, ceiling=np.array([0.25, 0.0, 1.0]))
    expected = np.array(
        [pearsonr(x, y).statistic for x, y in zip(guess.values.T, truth.values.T, strict=True)]
    )
    np.testing.assert_allclose(found.pearson, expected, rtol=1e-6)
    assert found.mean == pytest.approx(expected.mean(), rel=1e-6)
    assert found.median == pytest.approx(np.median(expected), rel=1e-6)
    np.testing.assert_allclose(found.normalised, [expected[0] * 2, expected[2]], rtol=1e-6)
    plain = found.to_dict()
    assert plain["per_target"] == pytest.approx(
        dict(zip(TARGETS.tolist(), expected.tolist(), strict=True)), rel=1e-6
    )
    assert plain["noise_normalised_mean"] == pytest.approx(expected[0] + expected[2] / 2, rel=1e-6)
    assert (plain["samples"], plain["targets"], plain["constant_targets"]) == (60, 3, 0)
    assert plain["noise_normalised_targets"] == 2


def test_the_wrong_ids_on_the_right_rows_collapse_the_score(truth, guess):
    shuffled = Predictions(np.random.default_rng(3).permutation(guess.ids), guess.values, TARGETS)
    assert score(guess, truth).mean > 0.6
    assert abs(score(shuffled, truth).mean) < 0.2


def test_a_constant_target_counts_zero_and_is_reported(truth, guess):
    guess.values[:, 1] = 0.1
    found = score(guess, truth)
    assert found.constant == 1
    assert found.pearson[1] == 0


def test_files_score_as_arrays(truth, guess, tmp_path):
    expected = score(guess, truth).to_dict()
    solution = write(truth, tmp_path / "solution.csv")
    assert score(guess.save(tmp_path / "x.npz"), solution).to_dict() == expected
    assert score(write(guess, tmp_path / "x.csv"), solution).to_dict() == expected


def test_ids_of_one_side_only_are_refused(truth, guess):
    fewer = Predictions(guess.ids[1:], guess.values[1:], TARGETS)
    with pytest.raises(SubmissionError, match="1 ids missing from the predictions: '0000'"):
        score(fewer, truth)
    with pytest.raises(SubmissionError, match="1 ids in the predictions that are not expected: '0000'"):
        score(guess, Predictions(truth.ids[1:], truth.values[1:], TARGETS))


def test_ceilings_that_do_not_fit_are_refused(truth, guess, tmp_path):
    with pytest.raises(
        SubmissionError, match="expected 3 numbers, one a target in the solution's column order"
    ):
        score(guess, truth, np.ones(2))
    with pytest.raises(SubmissionError, match="every value is 0"):
        score(guess, truth, np.zeros(3))
    for damaged in (b"\x93NUMPY", b"PK\x03\x04 cut short", b"n0,n1\n0.5,0.5\n"):
        (tmp_path / "c.npy").write_bytes(damaged)
        with pytest.raises(SubmissionError, match=r"c\.npy: expected a \.npy array"):
            load_ceiling(tmp_path / "c.npy")
    for ceiling, message in ((np.ones(2), "expected 3 numbers"), (np.zeros(3), "every value is 0")):
        np.save(tmp_path / "c.npy", ceiling)
        with pytest.raises(SubmissionError, match=rf"c\.npy: ceiling: {message}"):
            score(guess, truth, tmp_path / "c.npy")


def test_logits_against_class_names(classes, tmp_path):
    (tmp_path / "solution.csv").write_text("id,label\n04,dog\n03,cat\n02,dog\n01,cat\n")
    found = score(classes, tmp_path / "solution.csv")
    assert found.to_dict() == {"samples": 4, "accuracy": 0.75, "classes": 3}


def test_top_five_with_more_than_five_classes_named_by_numbers(tmp_path):
    names = np.array([str(i) for i in range(8)])
    scores = np.tile(np.arange(8.0), (8, 1))  # always 7, 6, 5, 4, 3
    (tmp_path / "solution.csv").write_text("id,label\n" + "".join(f"{i},{i}\n" for i in range(8)))
    found = score(Predictions(names, scores, names, kind="probabilities"), tmp_path / "solution.csv")
    assert found.to_dict() == {"samples": 8, "accuracy": 1 / 8, "classes": 8, "top5_accuracy": 5 / 8}


def test_written_class_names_are_scored_again(classes, tmp_path):
    (tmp_path / "solution.csv").write_text("id,label\n01,cat\n02,dog\n03,cat\n04,dog\n")
    out = write(classes, tmp_path / "out.csv", tmp_path / "solution.csv")
    assert score(out, tmp_path / "solution.csv").to_dict() == {"samples": 4, "accuracy": 0.75}
    wide = write(classes, tmp_path / "wide.csv")
    assert score(wide, tmp_path / "solution.csv").accuracy == 0.75


def test_whole_numbers_in_one_column_get_both_scores(tmp_path):
    pd.DataFrame({"id": list("abcd"), "y": [1, 2, 3, 1]}).to_csv(tmp_path / "solution.csv", index=False)
    pd.DataFrame({"id": list("dcba"), "y": [1, 3, 1, 1]}).to_csv(tmp_path / "x.csv", index=False)
    found = score(tmp_path / "x.csv", tmp_path / "solution.csv")
    assert found.accuracy == 0.75
    assert found.mean == pytest.approx(pearsonr([1, 1, 3, 1], [1, 2, 3, 1]).statistic)


def test_a_fault_among_fractions_is_no_class(tmp_path):
    (tmp_path / "solution.csv").write_text("id,y\na,0.5\nb,oops\nc,2\n")
    (tmp_path / "x.csv").write_text("id,y\na,1\nb,1\nc,2\n")
    with pytest.raises(
        SubmissionError, match=r"solution\.csv: 1 cells are not numbers: row 'b', column 'y' \('oops'\)"
    ):
        score(tmp_path / "x.csv", tmp_path / "solution.csv")
    (tmp_path / "solution.csv").write_text("id,y\na,1\nb,nan\nc,other\n")
    assert score(tmp_path / "x.csv", tmp_path / "solution.csv").to_dict() == {"samples": 3, "accuracy": 1 / 3}


def test_class_mistakes_are_named(classes, truth, tmp_path):
    (tmp_path / "solution.csv").write_text("id,label\n01,cow\n02,dog\n03,cat\n04,dog\n")
    with pytest.raises(SubmissionError, match="1 classes of the solution are not predicted: 'cow'"):
        score(classes, tmp_path / "solution.csv")
    (tmp_path / "known.csv").write_text("id,label\n01,cat\n02,dog\n03,cat\n04,dog\n")
    with pytest.raises(SubmissionError, match="A ceiling goes with regression"):
        score(classes, tmp_path / "known.csv", np.ones(3))
    with pytest.raises(SubmissionError, match="1 labels are empty, at id 'b'"):
        Labels(np.array(["a", "b"]), np.array(["x", ""]))
    with pytest.raises(SubmissionError, match="the solution holds numbers"):
        score(Labels(truth.ids, truth.ids), truth)


def test_class_names_are_scored_without_some_ids(classes):
    solution = Labels(np.array(["01", "02", "03", "04"]), np.array(["cat", "dog", "cat", "cat"]))
    assert score(classes, solution, without=np.array(["04", "img9"])).to_dict() == {
        "samples": 3, "accuracy": 1.0, "classes": 3
    }  # fmt: skip
    with pytest.raises(SubmissionError, match=r"found none of them among the 1 that are to be \('img9'\)"):
        score(classes, solution, without=np.array(["img9"]))
    with pytest.raises(SubmissionError, match="found all of them among the 4"):
        score(classes, solution, without=solution.ids)
