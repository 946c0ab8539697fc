"""Studies as runs: what is trained when, what is kept of their scores, and what they predict together."""

import csv
import io
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from scipy import stats
from tiny import tiny

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Ablation, Experiment, Seeds
from jaxlab.report.results.paired_studies import studies
from jaxlab.report.results.reading import reading
from jaxlab.runs import api, kinds, worth
from jaxlab.runs.kinds import RunKind
from jaxlab.runs.network.ready import NetworkReady
from jaxlab.runs.paired import compared
from jaxlab.runs.scored import Row
from jaxlab.runs.seed_tables import show
from jaxlab.runs.seeds import SeedsRun
from jaxlab.training import journal
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


@pytest.fixture(scope="module")
def seeded(trained, folded, arrays_npz, tmp_path_factory):
    """A study of two seeds, made of files: the second one's network is that of a fold."""
    path = tmp_path_factory.mktemp("seeded") / "study"
    shutil.copytree(trained, path / "seed0")
    shutil.copytree(folded / "fold1", path / "seed1")
    study = Seeds(experiment=tiny(arrays_npz), seeds=2)
    info = RunDirectory(trained).info()
    for name, config in {"": study, **study.variants()}.items():
        RunDirectory(path / name).create(to_json(config), None, info)
    return path


def concluded(path):
    out = io.StringIO()
    run = jaxlab.load(path)
    assert (
        SeedsRun.conclude(run.experiment, run.rundir, Session(Console(file=out, width=120, no_color=True)))
        is None
    )
    return run, out.getvalue()


def test_scores_have_means_and_students_intervals(seeded):
    run, said = concluded(seeded)
    last = [
        journal.read(seeded / name / "metrics.jsonl", "validation")[-1]["pearson"]
        for name in ("seed0", "seed1")
    ]
    low, high = stats.t.interval(0.95, 1, loc=np.mean(last), scale=stats.sem(last))
    (row,) = (
        run.summary()
        .query("checkpoint == 'last' and split == 'validation' and score == 'pearson'")
        .itertuples()
    )
    assert tuple(row)[5:] == pytest.approx((2, np.mean(last), np.std(last, ddof=1), low, high))
    assert f"{np.mean(last):.4f}" in said
    assert f"±{high - np.mean(last):.4f}" in said
    table = list(csv.DictReader((seeded / "scores.csv").open()))
    kept = [
        float(line["value"])
        for line in table
        if (line["checkpoint"], line["split"], line["score"]) == ("last", "validation", "pearson")
    ]
    assert kept == last
    whole = json.loads((seeded / "scores.json").read_text())
    assert whole["variants"]["seed1"]["scores"]["last"]["validation"]["pearson"] == last[1]
    assert {"n": 2, "mean": pytest.approx(np.mean(last))}.items() <= {
        key: value
        for one in whole["summary"]
        if (one["checkpoint"], one["split"], one["score"]) == ("last", "validation", "pearson")
        for key, value in one.items()
    }.items()
    assert (seeded / "plots/seeds.png").is_file()
    assert len(run.scores()) == len(table)


def test_seeds_predict_as_their_mean(seeded):
    run = jaxlab.load(seeded)
    each = [jaxlab.load(seeded / name).predict_split("test") for name in ("seed0", "seed1")]
    mean = run.keep("test")
    np.testing.assert_allclose(mean.values, np.mean([one.values for one in each], 0), rtol=1e-6)
    parts = [part["provenance"]["digest"] for part in mean.provenance["ensemble"]]
    assert parts == [one.provenance["digest"] for one in each]
    assert (seeded / "seed1/predictions/test.npz").is_file()
    validation = run.predict_split("validation")
    assert len(validation.ids) == 9
    scores = run.evaluate_checkpoints()
    assert list(scores) == ["seed0", "seed1", "mean", "sd"]
    both = [scores[name]["validation"]["pearson"] for name in ("seed0", "seed1")]
    assert scores["mean"]["validation"]["pearson"] == pytest.approx(np.mean(both))
    assert scores["sd"]["validation"]["pearson"] == pytest.approx(np.std(both, ddof=1))
    assert [one.split for one in run.labelled()] == ["train", "validation"]
    with pytest.raises(UserError, match="seed0 --checkpoints all"):
        run.evaluate_checkpoints("all")


@pytest.fixture
def faked(monkeypatch, trained):
    """Training that copies a run, and a list of what was trained; the name in `dies` is not."""
    made: list[str] = []
    dies: list[str] = []

    def train(experiment, rundir, *, source, allow_config_change, session):
        if rundir.path.name in dies:
            raise KeyboardInterrupt
        if not rundir.exists():
            made.append(rundir.path.name)
            shutil.copytree(trained, rundir.path, dirs_exist_ok=True)
            rundir.create(to_json(experiment), source, RunDirectory(trained).info())
        return rundir.path

    fake = {**kinds.KINDS, Experiment: RunKind(train, kinds.KINDS[Experiment].run)}
    monkeypatch.setattr(kinds, "KINDS", fake)
    return made, dies


def test_what_is_missing_is_trained_and_more_seeds_go_on(faked, arrays_npz, tmp_path):
    made, dies = faked
    study, out = Seeds(experiment=tiny(arrays_npz), seeds=3), io.StringIO()
    given = {"run": tmp_path / "study", "console": Console(file=out, width=120)}
    dies.append("seed1")
    with pytest.raises(KeyboardInterrupt):
        api.train(study, **given)
    with pytest.raises(UserError, match=r"2 of 3 seeds have no checkpoint yet \(seed1, seed2\)"):
        jaxlab.load(tmp_path / "study")
    dies.clear()
    api.train(study, **given)
    assert made == ["seed0", "seed1", "seed2"]
    api.train(replace(study, seeds=4), **given)
    assert made[3:] == ["seed3"]
    assert jaxlab.load(tmp_path / "study").experiment.seeds == 4
    api.train(replace(study, seeds=1), **given)
    said = out.getvalue()
    assert "left out, as they are not asked for: seed1, seed2, seed3" in said
    assert "of one seed there is no standard deviation and no interval" in said
    with pytest.raises(UserError, match="made by a different config: vary"):
        api.train(replace(study, vary=("split.seed",)), **given)


def test_inspect_and_evaluate_show_the_seeds(seeded):
    def command(*arguments):
        result = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    concluded(seeded)
    shown = command("inspect", seeded)
    assert "seed1" in shown
    assert "mean" in shown
    report = json.loads(command("inspect", seeded, "--json"))
    assert [one["step"] for one in report["variants"]] == [12, 6]


def test_undefined_scores_are_named_and_left_out():
    out = io.StringIO()
    rows = [
        Row(f"seed{k}", "last", "validation", "", name, value)
        for k in range(3)
        for name, value in {"pearson": 0.5 if k else math.nan, "mse": math.nan, "loss": 1.0}.items()
    ]
    show(Console(file=out, width=100), rows, "pearson")
    assert (
        "validation, last: undefined in 1 of 3 seeds, left out of the mean there: pearson" in out.getvalue()
    )
    assert "validation, last: undefined in 3 of 3 seeds, left out: mse" in out.getvalue()


def test_an_ablation_is_seeds_of_the_whole_and_of_what_is_left(faked, arrays_npz, tmp_path):
    made, _ = faked
    study = Ablation(
        experiment=tiny(arrays_npz), off={"augment": ("augment=()",), "ema": ("training.ema=none",)}, seeds=2
    )
    out = io.StringIO()
    path = api.train(study, tmp_path / "study", console=Console(file=out, width=100, no_color=True))
    assert made == ["seed0", "seed1"] * 3
    assert jaxlab.load(path / "without-augment/seed1").experiment.augment == ()
    run = jaxlab.load(path)
    assert run.rundir.path == path
    assert set(run.scores()["part"]) == {"whole", "augment", "ema"}
    assert (run.worth()["mean"] == 0).all(), "all are copies of one run"
    assert "of one seed" not in out.getvalue()
    assert "the whole" in out.getvalue()
    assert (path / "plots/worth.png").is_file()
    assert isinstance(run.ready(), NetworkReady), "its networks are read once, as those of seeds alone"
    kept = list(csv.DictReader((path / "worth.csv").open()))
    assert {line["part"] for line in kept} == {"augment", "ema"}
    api.train(study, path, console=Console(file=out))
    assert len(made) == 6


def test_worth_is_the_paired_difference():
    rng = np.random.default_rng(1)
    whole, without = rng.normal([0.6, 0.55], 0.02, (5, 2)).T
    parts = {
        name: [Row(f"seed{k}", "best", "validation", "", "pearson", value) for k, value in enumerate(values)]
        for name, values in (("whole", whole), ("decay", without), ("ema", whole))
    }
    decay, ema = worth.differences(parts)
    low, high = stats.t.interval(0.95, 4, loc=(whole - without).mean(), scale=stats.sem(whole - without))
    assert decay[:5] == ("decay", "best", "validation", "", "pearson")
    assert decay[5:] == pytest.approx(
        (
            whole.mean(),
            without.mean(),
            5,
            (whole - without).mean(),
            stats.tstd(whole - without),
            low,
            high,
            stats.ttest_rel(whole, without).pvalue,
            stats.wilcoxon(whole, without).pvalue,
        )
    )
    assert ema.mean == 0
    assert list(worth.by_part(parts, ("best", "validation", "", "pearson"))) == ["decay", "ema"]
    out = io.StringIO()
    worth.show(Console(file=out, width=100), parts, "pearson")
    assert f"{(whole - without).mean():+.4f} ± {high - (whole - without).mean():.4f}*" in out.getvalue()


def test_two_studies_are_compared_over_their_common_seeds(faked, arrays_npz, tmp_path):
    quiet = {"console": Console(file=io.StringIO())}
    plain, other = tiny(arrays_npz), tiny(arrays_npz, "optimizer.lr=0.1")
    names = {"one": (plain, 3), "other": (other, 2), "later": (replace(other, seed=7), 2)}
    paths = {
        name: api.train(Seeds(experiment=one, seeds=n), tmp_path / name, **quiet)
        for name, (one, n) in names.items()
    }
    moved = api.train(
        Seeds(experiment=tiny(arrays_npz, "split.seed=3"), seeds=2), tmp_path / "moved", **quiet
    )
    for seed, drop in enumerate((0.1, 0.2)):  # what the other scored less
        file = paths["other"] / "scores.json"
        whole = json.loads(file.read_text())
        whole["variants"][f"seed{seed}"]["scores"]["last"]["validation"]["pearson"] -= drop
        file.write_text(json.dumps(whole))
    one, less = jaxlab.load(paths["one"]), jaxlab.load(paths["other"])
    found = compared(one, less)
    assert found.seeds == ("seed0", "seed1")
    assert found.note.startswith("2 seeds are in both and are compared (seed0, seed1), of 3 in ")
    (row,) = [row for row in found.rows if row[1:5] == ("last", "validation", "", "pearson")]
    assert (row.n, row.mean) == (2, pytest.approx(0.15))
    assert row.p_t == pytest.approx(stats.ttest_1samp([0.1, 0.2], 0).pvalue)
    assert compared(one, one).note == ""
    with pytest.raises(UserError, match=r"have no seed in common \(seed0, seed1, seed2; seed7, seed8\)"):
        compared(one, jaxlab.load(paths["later"]))
    with pytest.raises(UserError, match=r"seed0 is not of the same samples in both.*split\.seed: 0 -> 3"):
        compared(one, jaxlab.load(moved))


def test_compare_says_where_seeds_are_no_pairs(seeded, tmp_path):
    other = shutil.copytree(
        seeded, tmp_path / "other", ignore=shutil.ignore_patterns("checkpoints", "events")
    )
    readings = [reading(RunDirectory(path), path.name) for path in (seeded, other)]
    (pair,) = studies(readings)
    assert pair.words("study").startswith("other less study, over 2 runs of the same name: +0.0000")
    info = json.loads((other / "seed1/run.json").read_text())
    info["data"]["fingerprint"] = "0" * 64
    (other / "seed1/run.json").write_text(json.dumps(info))
    (pair,) = studies(readings)
    assert "no difference to study: " in pair.words("study")
    assert "seed1 is not of the same samples in both" in pair.words("study")


def test_a_mean_over_seeds_of_which_one_is_undefined_is_undefined():
    run = SeedsRun.__new__(SeedsRun)
    values = {"pearson": (0.5, math.nan), "mse": (1.0, 3.0)}
    rows = [
        Row(f"seed{seed}", "best", "validation", "", score, value)
        for score, each in values.items()
        for seed, value in enumerate(each)
    ]
    run.__dict__ |= {"rows": rows, "runs": {"seed0": None, "seed1": None}}
    found = run.recorded()["best"]["validation"]
    assert found == {"pearson": pytest.approx(math.nan, nan_ok=True), "mse": 2.0}
