"""Predictions of a validation split against the train.csv that holds its samples among others."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Predictions
from submit.cli.main import main

IDS, TARGETS = np.array([f"{i:03d}" for i in range(120)]), np.array(["n0", "n1"])
SAID = "12 of 120 ids of train.csv are predicted; the others are left out"


@pytest.fixture
def values(tmp_path, monkeypatch) -> np.ndarray:
    """train.csv, with a column that is no target, and validation.npz and out_of_fold.npz of every tenth sample."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    rows = [f"{i},img{i}.png,{a},{b}" for i, (a, b) in zip(IDS, values, strict=True)]
    (tmp_path / "train.csv").write_text("\n".join(["id,image,n0,n1", *rows]))
    for split in ("validation", "out_of_fold", "test", ""):
        Predictions(IDS[100::-9], values[100::-9] + 1, TARGETS, split=split).save(f"{split or 'unnamed'}.npz")
    return values


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "validation.npz", "train.csv"],
        ["rosetta", "validation.npz", "train.csv"],
        ["probe", "out_of_fold.npz", "train.csv"],
        ["compare", "validation.npz", "out_of_fold.npz", "--truth", "train.csv"],
    ],
)
def test_further_samples_of_the_truth_are_left_out_and_that_is_said_once(values, arguments):
    found = run(*arguments)
    assert found.exit_code == 0, found.output
    assert found.stdout.count(SAID) == 1
    assert "1.000" in found.stdout


def test_the_score_is_that_of_the_samples_alone(values):
    noisy = values[:30] + np.random.default_rng(1).normal(size=(30, 2))
    Predictions(IDS[:30], noisy, TARGETS, split="validation").save("noisy.npz")
    made = json.loads(run("score", "noisy.npz", "train.csv", "--json").stdout)
    assert (made["samples"], made["left_out"]) == (30, 90)
    expected = [np.corrcoef(noisy[:, k], values[:30, k])[0, 1] for k in range(2)]
    assert list(made["per_target"].values()) == pytest.approx(expected, rel=1e-4)


def test_classes_too(values, tmp_path):
    names = np.array(["a", "b"])[np.arange(120) % 2]
    (tmp_path / "classes.csv").write_text(
        "\n".join(["id,label", *map(",".join, zip(IDS, names, strict=True))])
    )
    logits = (names[:, None] == ["a", "b"]).astype(np.float32)
    Predictions(IDS[:20], logits[:20], np.array(["a", "b"]), "logits", "validation").save("logits.npz")
    found = run("score", "logits.npz", "classes.csv")
    assert "1.0000" in found.stdout
    assert "20 of 120 ids of classes.csv are predicted" in found.stdout


@pytest.mark.parametrize("name", ["test.npz", "unnamed.npz"])
def test_of_other_splits_every_sample_is_wanted(values, name):
    Predictions(IDS, values, TARGETS).save("truth.npz")
    refused = run("score", name, "truth.npz")
    assert refused.exit_code == 1
    assert "108 ids missing from the predictions" in refused.stderr


def test_an_unknown_id_and_other_samples_than_the_firsts_are_refused(values):
    strange = np.where(IDS == "100", "x", IDS)
    Predictions(strange, values, TARGETS, split="validation").save("strange.npz")
    assert (
        "1 ids in the predictions that are not expected: 'x'"
        in run("score", "strange.npz", "train.csv").stderr
    )
    Predictions(IDS, values, TARGETS, split="out_of_fold").save("all.npz")
    refused = run("compare", "all.npz", "validation.npz", "--truth", "train.csv")
    assert "validation.npz: 108 ids that the first file predicts are missing from it" in refused.stderr
