"""`jaxlab compare`: differences paired by id, and what differs in configs."""

import json
from pathlib import Path

import numpy as np
import pytest
from made import invoke, made_run, pearson

from jaxlab.report.results import facts
from jaxlab.report.results.report import distinct


def test_runs_are_compared_on_the_samples_of_both(numbered):
    _, truth, runs = numbered
    found = json.loads(invoke("compare", *runs, "--quick", "--json").stdout)
    first, other = (np.load(run / "predictions" / "validation.npz")["values"].astype(float) for run in runs)
    shared = truth[8:20].astype(float)
    less = (
        np.nan_to_num(pearson(other[4:], shared)).mean() - np.nan_to_num(pearson(first[:12], shared)).mean()
    )
    row = found["runs"][1]
    assert (row["shared"], row["why"]) == (12, "")
    assert row["difference"]["value"] == pytest.approx(less, abs=1e-5)
    assert row["difference"]["low"] < less < row["difference"]["high"]
    assert found["runs"][0]["difference"] is None
    assert found["config"]["run1"] == [["optimizer.lr", "0.01", "0.02"]]
    shown = invoke("compare", *runs, "--quick").output
    assert f"{less:+.4f}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_cannot_be_compared_says_why(numbered, classified):
    shown = invoke("compare", numbered[2][0], classified[0], "--quick").output
    assert "no paired difference to the first: they predict other targets" in shown


def test_predictions_that_are_not_finite_are_not_compared(numbered, tmp_path):
    root, truth, runs = numbered
    values = truth[8:].copy()
    values[3, 2] = np.nan  # its target would count 0, and the difference be that of one sample
    broken = made_run(tmp_path / "broken", root, np.arange(8, 24), values, [0.2, 0.5, 0.4])
    shown = invoke("compare", runs[0], broken, "--quick").output
    assert "no paired difference to the first: some of the predictions are not finite" in shown


def test_runs_have_the_shortest_names_that_tell_them_apart():
    paths = [Path("/a/one/seed0/run"), Path("/a/two/seed0/run")]
    assert distinct(paths) == ["one", "two"]
    assert distinct([Path("/a/b/c")]) == ["b/c"]
    assert distinct([Path("/a/study"), Path("/a/study/seed0")]) == ["study", "study/seed0"]
    assert len(set(distinct([Path("/a/b"), Path("/a/b"), Path("/a/c")]))) == 3


def test_configs_differ_part_by_part():
    old = {"type": "E", "lr": 1, "model": {"type": "A", "depth": 3}, "augment": []}
    new = {"type": "E", "lr": 2, "model": {"type": "B", "size": 4}, "augment": [{"type": "Flip"}]}
    found = facts.changes(old, new)
    assert found == [("lr", "1", "2"), ("model", "A: depth 3", "B: size 4"), ("augment", "none", "Flip")]
