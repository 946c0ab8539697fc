import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from submit import Predictions, SubmissionError, bootstrap, write
from submit.cli.main import main
from submit.scores.compare import compare

IDS, TARGETS = np.array([f"{i:03d}" for i in range(60)]), np.array(["a", "b", "c"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """good.npz, its rows turned round, and poor.csv; their truth."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 3)).astype(np.float32)
    write(Predictions(IDS, truth, TARGETS), "truth.csv")
    good = truth + rng.normal(size=truth.shape)
    Predictions(IDS[::-1], good[::-1], TARGETS).save("good.npz")
    write(Predictions(IDS, good + 3 * rng.normal(size=truth.shape), TARGETS), "poor.csv")
    return tmp_path


def test_differences_to_the_first_are_paired(folder):
    found = compare(["good.npz", "poor.csv"], "truth.csv")
    good, poor, truth = (Predictions.load(name).values for name in ("good.npz", "poor.csv", "truth.csv"))
    for one, aggregate in zip(found[2:], ("mean", "median"), strict=True):
        assert (one.name, one.measure) == ("poor.csv", f"{aggregate} Pearson r")
        score = bootstrap.interval(poor, truth, aggregate=aggregate)
        difference = bootstrap.difference(poor, good[::-1], truth, aggregate=aggregate)
        assert (one.score.low, one.score.high) == pytest.approx((score.low, score.high))
        assert (one.difference.low, one.difference.high) == pytest.approx((difference.low, difference.high))
        assert one.difference.high < 0
    assert [(one.name, one.difference) for one in found[:2]] == [("good.npz", None)] * 2


def test_the_same_twice_differs_by_nothing(folder):
    for one in compare(["good.npz", "good.npz"], "truth.csv")[2:]:
        assert one.difference == bootstrap.Interval(0, 0, 0)


def test_classes_are_compared_by_accuracy(folder):
    rng = np.random.default_rng(1)
    truth = rng.choice(TARGETS, 60)
    pd.DataFrame({"id": IDS, "label": truth}).to_csv("classes.csv", index=False)
    logits = rng.normal(size=(60, 3)) + 2 * (truth[:, None] == TARGETS)
    Predictions(IDS, logits, TARGETS, "logits").save("a.npz")
    pd.DataFrame({"id": IDS, "label": rng.choice(TARGETS, 60)}).to_csv("b.csv", index=False)
    first, second = compare(["a.npz", "b.csv"], "classes.csv")
    assert first.measure == second.measure == "accuracy"
    assert first.score.value == np.mean(TARGETS[logits.argmax(1)] == truth)
    assert second.difference.high < 0


def test_the_file_that_does_not_match_is_named(folder):
    write(Predictions(IDS[1:], np.zeros((59, 3)), TARGETS), "short.csv")
    with pytest.raises(SubmissionError, match=r"short\.csv: 1 ids missing from the predictions: '000'"):
        compare(["good.npz", "short.csv"], "truth.csv")
    with pytest.raises(SubmissionError, match="two predictions or more to compare; found 1"):
        compare(["good.npz"], "truth.csv")


def test_files_are_shown_by_what_distinguishes_them(folder):
    good = Predictions.load("good.npz")
    paths = [
        "runs/a/predictions/test.npz",
        "runs/b/predictions/test.npz",
        "runs/b/predictions/validation.npz",
    ]
    paths += ["a_folder/other.npz", "another/good.npz", "good.npz"]
    for path in paths:
        good.save(path)
    printed = CliRunner().invoke(main, ["compare", *paths, "--truth", "truth.csv"], env={"COLUMNS": "120"})
    shown = [line.split()[0] for line in printed.stdout.splitlines() if "0." in line]
    assert shown == ["runs/a", *paths[1:3], "other.npz", *paths[4:]] * 2


def test_the_command(folder):
    printed = CliRunner().invoke(main, ["compare", "good.npz", "poor.csv", "--truth", "truth.csv"])
    assert printed.exit_code == 0
    for word in ("mean Pearson r", "median Pearson r", "to the first", "good.npz", "-0."):
        assert word in printed.stdout
    assert max(map(len, printed.stdout.splitlines())) <= 80
    found = CliRunner().invoke(main, ["compare", "good.npz", "poor.csv", "--truth", "truth.csv", "--json"])
    assert [one["difference"] is None for one in json.loads(found.stdout)] == [True, True, False, False]
    refused = CliRunner().invoke(main, ["compare", "good.npz", "--truth", "truth.csv"])
    assert (refused.exit_code, refused.stdout) == (1, "")
