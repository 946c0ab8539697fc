"""Studies in a report: their runs, what makes these differ, and what parts are worth."""

import json
import re
import shutil

import numpy as np
import pytest
from made import made_run
from scipy import stats

from jaxlab.core.types import UserError
from jaxlab.report.results import study, worth
from jaxlab.report.results.paired_studies import studies
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.variants import variants_of
from jaxlab.training.rundir import RunDirectory
from submit.metrics.table import SCORES


@pytest.fixture(scope="module")
def searched(numbered, tmp_path_factory):
    """A directory of runs made by files, whose learning rates, seeds and scores differ."""
    root, truth, _ = numbered
    folder = tmp_path_factory.mktemp("searched")
    for k, (rate, score) in enumerate(zip((1e-4, 1e-3, 1e-2, 1e-1), (0.1, 0.4, 0.3, 0.2), strict=True)):
        settings = [f"optimizer.lr={rate}", f"seed={k}"]
        made_run(folder / f"trial{9 + k}", root, np.arange(4), truth[:4], [0.0, score, 0.05], *settings)
    return folder


def test_a_study_is_read_from_its_runs_and_shown_by_what_makes_them_differ(searched, monkeypatch):
    variants = variants_of(searched)
    assert [one.name for one in variants] == ["trial9", "trial10", "trial11", "trial12"]
    assert [one.score for one in variants] == [0.1, 0.4, 0.3, 0.2]
    assert [one.values["optimizer.lr"] for one in variants] == [1e-4, 1e-3, 1e-2, 1e-1]
    assert study.searched(variants) == ["optimizer.lr"]
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    shown = study.section(variants)
    assert {"runs", "curves", "parallel", "setting-0"} == {picture.name for picture in shown.pictures}
    assert "the best is trial10, 0.4000" in shown.html()
    assert {"runs", "curves"} == {
        picture.name for picture in study.section(variants, settings=False).pictures
    }


def test_trials_of_a_search_have_the_score_that_was_searched_for(searched, tmp_path, monkeypatch):
    ends = {
        "trial9": ("complete", 0.7, ""),
        "trial10": ("failed", None, "the loss is NaN"),
        "trial11": ("stopped", 0.9, ""),
    }
    for name, (state, score, reason) in ends.items():
        shutil.copytree(searched / name, tmp_path / name)
        told = {
            "schema": 1,
            "number": int(name[5:]),
            "state": state,
            "params": {},
            "metric": "explained_variance",
        }
        told |= {"score": score, "reason": reason, "epoch": 2 if state == "stopped" else None}
        (tmp_path / name / "trial.json").write_text(json.dumps(told))
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    text = study.section(variants_of(tmp_path), importance={"optimizer.lr": 1.0}).html()
    assert "Explained variance of 1 run; the best is trial9, 0.7000. 2 have no score yet." in text
    assert "<td>failed: the loss is NaN</td>" in text
    assert "<td>stopped at epoch 2</td>" in text
    assert "Importance of each setting" in text


def test_seeds_have_a_mean_and_its_interval(searched, tmp_path):
    for k, trial in enumerate(sorted(searched.iterdir())):
        shutil.copytree(trial, tmp_path / f"seed{k}")
        config = json.loads((trial / "config.json").read_text())
        config["experiment"]["optimizer"]["lr"] = 0.01
        (tmp_path / f"seed{k}" / "config.json").write_text(json.dumps(config))
    variants = variants_of(tmp_path)
    scores = [0.1, 0.4, 0.3, 0.2]
    low, high = stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores))
    told = study._summary(variants, 4, SCORES["pearson"])
    assert f"mean {np.mean(scores):.4f}, standard deviation {np.std(scores, ddof=1):.4f}" in told
    assert f"95 % interval of the mean {low:.4f} to {high:.4f}" in told


def test_the_runs_of_folds_within_a_study_learn_in_common(searched, tmp_path):
    for k, trial in enumerate(("trial9", "trial10", "trial11")):
        shutil.copytree(searched / trial, tmp_path / f"seed0/fold{k}")
    config = {"type": "Folds", "folds": 3, "experiment": {"type": "Experiment"}}
    (tmp_path / "seed0/config.json").write_text(json.dumps({"schema": 1, "experiment": config}))
    (one,) = variants_of(tmp_path)
    scores = [0.1, 0.4, 0.3]
    ends = stats.t.interval(0.95, 2, np.mean(scores), np.sqrt((1 / 3 + 1 / 2) * np.var(scores, ddof=1)))
    assert (one.interval.low, one.interval.high) == pytest.approx(ends)


def test_fields_of_one_name_have_a_column_each(searched, tmp_path):
    for k, trial in enumerate(sorted(searched.iterdir())):
        shutil.copytree(trial, tmp_path / trial.name)
        file = tmp_path / trial.name / "config.json"
        config = json.loads(file.read_text())
        config["experiment"] |= {"model": {"dropout": k / 8}, "head": {"dropout": k / 16, "time": k}}
        file.write_text(json.dumps(config))
    variants = variants_of(tmp_path)
    header = re.findall("<th>(.*?)</th>", study._table(variants, None))
    assert sorted(header[1:6]) == ["head.dropout", "head.time", "lr", "model.dropout", "seed"]
    assert "model.dropout 0.375, head.dropout 0.1875, head.time 3" in study._told(variants[0])


def test_what_a_part_is_worth_is_read_and_drawn(tmp_path):
    (tmp_path / "worth.csv").write_text(
        "part,checkpoint,split,class,score,whole,without,n,mean,sd,low,high,p_t,p_wilcoxon\n"
        "augment,best,validation,,pearson,0.5,0.4,3,0.1,0.01,0.05,0.15,0.01,0.2\n"
        "decay,best,validation,,pearson,0.5,0.51,3,-0.01,0.01,-0.02,,,\n"
        "decay,best,train,,pearson,0.9,0.8,3,0.1,0.01,0,0.2,,\n"
        "decay,best,validation,,loss/mse,0.7,0.6,3,0.1,0.01,0,0.2,,\n"  # a term of a loss, no score by itself
    )
    (section,) = worth.section(tmp_path)
    (picture,) = section.pictures
    text = section.html()
    assert "validation, best checkpoint" in picture.words
    assert "<title>augment: +0.1000 (0.5000 whole, 0.4000 without)</title>" in text
    assert "+0.0500 to +0.1500" in text
    assert "0.9000" not in text, "of what was learned nothing is worth"
    (tmp_path / "worth.csv").write_text("something,else\n1,2\n")
    with pytest.raises(UserError, match="expected a table of what parts are worth"):
        list(worth.section(tmp_path))
    assert not list(worth.section(tmp_path / "none"))


def test_trials_of_the_same_number_are_no_pairs(searched, tmp_path):
    readings = []
    for number in range(2):
        for seed, trial in enumerate(("trial9", "trial10", "trial11")):
            shutil.copytree(searched / trial, tmp_path / str(number) / f"seed{(seed + number) % 3}")
        config = {"type": "Seeds"}
        readings.append(Reading(RunDirectory(tmp_path / str(number)), str(number), config=config))
    one, other = (np.array(scores) for scores in ((0.1, 0.4, 0.3), (0.3, 0.1, 0.4)))
    (found,) = studies(readings)
    assert found.paired.n == 3
    assert found.paired.p_t == pytest.approx(stats.ttest_rel(other, one).pvalue)
    assert "corrected for folds" not in found.words("0")
    for reading in readings:
        reading.config = {"type": "Folds", "folds": 3}
    (found,) = studies(readings)
    t = np.mean(other - one) / np.sqrt((1 / 3 + 1 / 2) * np.var(other - one, ddof=1))
    assert found.paired.p_t == pytest.approx(2 * stats.t.sf(abs(t), 2))
    assert "(paired t); corrected for folds that learn in common" in found.words("0")
    readings[1].config = {"type": "Search"}  # whose trials of a number have nothing in common
    assert studies(readings) == []


def test_a_study_of_undefined_scores_alone_is_shown(numbered, tmp_path):
    root, truth, _ = numbered
    run = made_run(tmp_path / "seed0", root, np.arange(4), truth[:4], [0.1, 0.4, 0.3])
    metrics = run / "metrics.jsonl"
    metrics.write_text(re.sub(r'"pearson": [0-9.]+', '"pearson": null', metrics.read_text()))
    assert "Mean Pearson r is undefined" in study.section(variants_of(tmp_path)).html()
