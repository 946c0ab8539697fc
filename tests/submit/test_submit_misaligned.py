"""Misaligned predictions: what can be put right by name is, and the rest is refused with its names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from submit import SubmissionError, check, score, write
from submit.predictions import Predictions

IDS = [f"{k:04d}" for k in range(30)]
TARGETS = ["n0", "n1", "n2"]
RNG = np.random.default_rng(0)
TRUTH = pd.DataFrame(RNG.standard_normal((30, 3)), IDS, TARGETS)
GUESS = (TRUTH + RNG.standard_normal((30, 3))).astype(np.float32)
Change = Callable[[pd.DataFrame], pd.DataFrame]

REALIGNED: dict[str, Change] = {
    "ids shuffled": lambda table: table.sample(frac=1, random_state=1),
    "columns swapped": lambda table: table[["n2", "n0", "n1"]],
    "both": lambda table: table.sample(frac=1, random_state=2)[["n1", "n2", "n0"]],
}
REFUSED: dict[str, tuple[Change, list[str]]] = {
    "an id missing": (lambda table: table.drop("0007"), ["1 ids missing from", "'0007'"]),
    "an id twice": (lambda table: pd.concat([table, table.loc[["0007"]]]), ["'0007'"]),
    "an id too many": (
        lambda table: pd.concat([table, table.loc[["0007"]].set_axis(["0099"])]),
        ["1 ids in the", "that are not expected: '0099'"],
    ),
    "ids read as numbers": (
        lambda table: table.set_axis([str(int(name)) for name in table.index]),
        ["30 ids missing from", "no ids agree (they are compared as text, so '1' is not '0001')"],
    ),
    "a column renamed": (
        lambda table: table.rename(columns={"n1": "N1"}),
        ["'n1'", "'N1'", "they differ in capital letters"],
    ),
    "a column missing": (lambda table: table.drop(columns="n1"), ["'n1'"]),
    "a column twice": (lambda table: table.set_axis(["n0", "n1", "n1"], axis=1), ["'n1'"]),
}


def predictions(table: pd.DataFrame) -> Predictions:
    return Predictions(np.array(table.index), table.to_numpy(), np.array(table.columns))


def csv_of(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index_label="id")
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return csv_of(TRUTH * 0, tmp_path / "sample.csv")


@pytest.mark.parametrize("case", REALIGNED)
def test_names_decide_and_not_positions(case: str, sample: Path, tmp_path: Path) -> None:
    moved = REALIGNED[case](GUESS)
    expected = write(predictions(GUESS), tmp_path / "expected.csv", sample).read_bytes()
    assert write(predictions(moved), tmp_path / "out.csv", sample).read_bytes() == expected
    moved_file = csv_of(moved, tmp_path / "moved.csv")
    assert check(moved_file, sample) == []
    solution = csv_of(TRUTH, tmp_path / "solution.csv")
    rs = [pearsonr(GUESS[name], TRUTH[name]).statistic for name in TARGETS]
    for given in (predictions(moved), moved_file):
        np.testing.assert_allclose(score(given, solution).pearson, rs, rtol=1e-6)


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_match_is_refused_by_name(case: str, sample: Path, tmp_path: Path) -> None:
    change, words = REFUSED[case]
    file = csv_of(change(GUESS), tmp_path / "changed.csv")
    solution = csv_of(TRUTH, tmp_path / "solution.csv")
    said = ["\n".join(check(file, sample))]

    def scored() -> object:
        return score(file, solution)

    def written() -> object:
        return write(predictions(change(GUESS)), tmp_path / "out.csv", sample)

    for attempt in (scored, written):
        with pytest.raises(SubmissionError) as caught:
            attempt()
        said.append(str(caught.value))
    assert not (tmp_path / "out.csv").exists()
    for text in said:
        assert [word for word in words if word not in text] == [], text


def test_a_stale_sample_is_said_to_be_one(sample: Path, tmp_path: Path) -> None:
    fewer = predictions(GUESS.iloc[:28])
    assert check(fewer, sample) == [
        "Submission must have 30 rows; it has 28",
        "2 ids missing from the submission: '0028', '0029'",
        "the sample submission may be stale: 28 of its 30 ids are among the 28 predicted",
    ]
    csv_of((TRUTH * 0).iloc[:25], sample)
    assert check(predictions(GUESS), sample) == [
        "Submission must have 25 rows; it has 30",
        "5 ids in the submission that are not expected: '0025', '0026', '0027', '0028', '0029'",
        "the sample submission may be stale: 25 of its 25 ids are among the 30 predicted",
    ]
