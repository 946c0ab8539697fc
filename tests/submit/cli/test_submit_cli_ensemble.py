"""`python -m submit ensemble` on files and run directories: every method, and every way to get it wrong."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import trim_mean

from submit import Predictions, ensemble, kaggle, score, write
from submit.cli.main import main

TARGETS = np.array(["n0", "n1", "n2"])
RUNS = ("runs/a", "runs/b", "runs/c")
TEST, LEARNED = "runs/a/predictions/test.npz", "runs/a/predictions/out_of_fold.npz"


def run(*arguments: str):
    return CliRunner().invoke(main, ["ensemble", *arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three runs, each good at another target, whose predictions are in any order; train.csv, test.csv, rois.csv."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids = np.array([f"i{k:03d}" for k in range(200)])
    truth = Predictions(ids, rng.standard_normal((200, 3)) + 5, TARGETS)
    for k, path in enumerate(RUNS):
        noise = np.where(np.arange(3) == k, 0.3, 2.0) * rng.standard_normal((200, 3))
        for split, rows in {"out_of_fold": rng.permutation(120), "test": 120 + rng.permutation(80)}.items():
            made = Predictions(ids[rows], (truth.values + noise)[rows], TARGETS, split=split)
            made.save(f"{path}/predictions/{split}.npz")
    write(replace(truth, ids=ids[:120], values=truth.values[:120]), "train.csv")
    write(replace(truth, ids=ids[120:], values=truth.values[120:]), "test.csv")
    (tmp_path / "rois.csv").write_text("target,roi\nn0,V1\nn1, V1 \n")
    return tmp_path


def members(split: str) -> list[Predictions]:
    return [Predictions.load(f"{path}/predictions/{split}.npz") for path in RUNS]


@pytest.mark.parametrize(
    ("method", "how"),
    [
        ("best", {}),
        ("greedy", {"statistic": "median"}),
        ("stack", {}),
        ("stack", {"by": "all"}),
        ("stack", {"by": "roi"}),
        ("select", {"keep": 1}),
    ],
)
def test_runs_are_combined_as_in_python(folder, method, how):
    options = [text for name, value in how.items() for text in (f"--{name}", str(value))]
    if how.get("by") == "roi":
        options += ["--rois", "rois.csv"]
        how = {**how, "regions": {"V1": np.array([True, True, False])}}
    found = run(*RUNS, "--out", "out.csv", "--method", method, "--truth", "train.csv", *options)
    assert found.exit_code == 0
    assert found.stderr.splitlines() == [f"Warning: out.csv: {kaggle.UNCHECKED}"]
    learned = getattr(ensemble, method)(members("out_of_fold"), Predictions.load("train.csv"), **how)
    expected = learned.apply(members("test"))
    np.testing.assert_allclose(Predictions.load("out.csv").values, expected.values, rtol=1e-6)
    assert score("out.csv", "test.csv").mean > score(ensemble.mean(members("test")), "test.csv").mean - 0.02
    for text in ["120 labelled samples that all members predict", "runs/b", "greedy", "taken"]:
        assert text in found.stdout
    for value in (*learned.singles, *learned.scores.values()):
        assert f"{value:.4f}" in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_files_are_learned_from_as_runs_are(folder):
    learn = [text for path in RUNS[:2] for text in ("--learn", f"{path}/predictions/out_of_fold.npz")]
    files = [f"{path}/predictions/test.npz" for path in RUNS[:2]]
    method = ["--method", "stack", "--truth", "train.csv"]
    assert run(files[0], RUNS[2], files[1], "--out", "a.npz", *method, *learn).exit_code == 0
    assert run(RUNS[0], RUNS[2], RUNS[1], "--out", "b.npz", *method).exit_code == 0
    a, b = Predictions.load("a.npz"), Predictions.load("b.npz")
    np.testing.assert_array_equal(a.values, b.values)
    assert a.provenance["method"] == "stack (target)"
    assert a.provenance["compared"]["members"] == [learn[1], RUNS[2], learn[3]]


def test_a_subject_of_a_run_of_several_is_a_member(folder):
    """RUN/predictions/SUBJECT; the run itself is not, and what to name instead is said."""
    plain = run(*RUNS, "--method", "best", "--truth", "train.csv", "--out", "plain.npz")
    assert plain.exit_code == 0, plain.stderr
    first = folder / RUNS[0] / "predictions"
    moved = folder / "runs/pooled/predictions/s1"
    moved.parent.mkdir(parents=True)
    first.rename(moved)
    subject = moved.relative_to(folder)
    found = run(str(subject), *RUNS[1:], "--method", "best", "--truth", "train.csv", "--out", "x.npz")
    assert found.exit_code == 0, found.stderr
    np.testing.assert_array_equal(Predictions.load("x.npz").values, Predictions.load("plain.npz").values)
    refused = run("runs/pooled", *RUNS[1:], "--out", "y.npz")
    assert (
        f"runs/pooled: a run of several subjects; expected the folder of one, as {subject}." in refused.stderr
    )
    assert refused.exit_code == 1


def test_validation_serves_where_nothing_is_out_of_fold(folder):
    for path in RUNS:
        kept = replace(Predictions.load(f"{path}/predictions/out_of_fold.npz"), split="validation")
        kept.save(f"{path}/predictions/validation.npz")
    (folder / "runs/b/predictions/out_of_fold.npz").unlink()
    found = run(*RUNS, "--out", "a.npz", "--method", "greedy", "--truth", "train.csv")
    assert found.exit_code == 0, found.stderr


def test_rank_and_trimmed(folder):
    assert run(*RUNS, "--out", "rank.npz", "--method", "rank").exit_code == 0
    np.testing.assert_array_equal(
        Predictions.load("rank.npz").values, ensemble.rank_average(members("test")).values
    )
    assert run(*RUNS, "--out", "cut.npz", "--method", "trimmed", "--share", "0.34").exit_code == 0
    first, *others = members("test")
    order = [[other.ids.tolist().index(name) for name in first.ids] for other in others]
    values = [first.values, *(other.values[rows] for other, rows in zip(others, order, strict=True))]
    np.testing.assert_allclose(Predictions.load("cut.npz").values, trim_mean(values, 0.34), rtol=1e-6)


def spoil(how: str) -> str:
    """A test file like that of run b, but shuffled, or with one id missing, one twice, or columns renamed."""
    made = Predictions.load("runs/b/predictions/test.npz")
    ids, values, targets = made.ids, made.values, made.targets
    if how == "shuffled":
        rows, columns = np.random.default_rng(1).permutation(80), [2, 0, 1]
        ids, values, targets = ids[rows], values[rows][:, columns], targets[columns]
    elif how == "one missing":
        ids, values = ids[1:], values[1:]
    elif how == "one twice":
        ids = np.array([ids[1], *ids[1:]])
    else:
        targets = np.array(["n1", "n0", "V4"])
    keys = {"kind": made.kind, "split": made.split, "provenance": "{}", "schema": 1}
    np.savez("spoilt.npz", ids=ids, values=values, targets=targets, **keys)
    return made.ids[0] if how == "one missing" else made.ids[1]


METHODS = ["mean", "rank", "trimmed --share 0.34", *(f"{m} --truth train.csv" for m in ("greedy", "stack"))]


@pytest.mark.parametrize("method", METHODS)
def test_misaligned_members_are_realigned_or_refused_with_the_ids_named(folder, method):
    learn = ["--learn", "runs/b/predictions/out_of_fold.npz"] if "truth" in method else []
    spoilt = ["runs/a", "spoilt.npz", "runs/c", "--method", *method.split(), *learn, "--out", "x.npz"]
    assert run(*RUNS, "--method", *method.split(), "--out", "right.npz").exit_code == 0
    spoil("shuffled")
    assert run(*spoilt).exit_code == 0
    np.testing.assert_allclose(
        Predictions.load("x.npz").values, Predictions.load("right.npz").values, rtol=1e-6
    )
    (folder / "x.npz").unlink()
    for how, message in {
        "one missing": f"spoilt.npz does not match {TEST}: 1 ids missing from the predictions: '{{}}'",
        "one twice": "spoilt.npz: ids: 1 occur more than once: '{}'",
        "renamed": "1 targets missing from the predictions: 'n2'; 1 targets in the predictions that are not "
        "expected: 'V4'",
    }.items():
        named = spoil(how)
        found = run(*spoilt)
        assert found.exit_code == 1
        assert message.format(named) in found.stderr
        assert not (folder / "x.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            "--method stack --by roi --weights 1,2 --share 0.2",
            ["--weights goes with --method mean, not with stack", "--share goes with --method trimmed",
             "--method stack needs --truth", "--by roi and --rois FILE go together"],
        ),
        ("--truth train.csv", ["--truth goes with --method greedy or select or stack or best, not with mean"]),
        ("--method best --truth train.csv --learn train.csv", ["found 1 for 0 members that are files"]),
        ("--method best --truth test.csv", ["The truth lacks 120 of the 120 ids that all members predict: 'i000'"]),
        (
            f"{TEST} --method best --truth train.csv",
            ["Nothing to learn weights from", f"validation.npz: {TEST}. `jaxlab predict RUN --split validation`"],
        ),
        (f"{TEST} --method best --truth train.csv --learn {TEST}", [f"{TEST}: given as a member and to learn from"]),
        (
            f"{TEST} --method best --truth train.csv --learn copy.npz",
            ["copy.npz is of the split 'test': weights are chosen on validation or out-of-fold predictions, never"],
        ),
        (
            "old.npz --method best --truth train.csv --learn learned.csv",
            ["old.npz: these are the predictions that weights were learned from (learned.csv)"],
        ),
        ("--method select --truth train.csv --keep 4", ["keep: expected a number of members from 1 to 3, found 4"]),
        (
            "--method best --truth train.csv --rois blank.csv",
            ["blank.csv: 2 targets have no region beside them: 'n0', 'n1'"],
        ),
        ("--against none.csv --method mean", ["File 'none.csv' does not exist"]),
        (
            "empty --method mean",
            ["empty: expected a run directory with predictions/test.npz", "`jaxlab predict empty` makes it"],
        ),
        (
            "runs/d none.csv --method mean",
            ["runs/d: there is no such file or run directory.", "none.csv: there is no such file or run directory."],
        ),
        ("--method best --truth classes.csv", ["predicted targets are not among its columns: 'n0', 'n1', 'n2'"]),
    ],
)  # fmt: skip
def test_misuse_is_refused(folder, arguments, messages):
    (folder / "empty").mkdir()
    (folder / "copy.npz").write_bytes((folder / TEST).read_bytes())
    (folder / "old.npz").write_bytes((folder / LEARNED).read_bytes())
    (folder / "classes.csv").write_text("id,label\ni000,cat\n")
    (folder / "blank.csv").write_text("target,roi\nn0,\nn1, \nn2,V1\n")
    write(Predictions.load(LEARNED), "learned.csv")
    found = run(*RUNS, *arguments.split(), "--out", "x.npz")
    assert found.exit_code == 1
    for message in messages:
        assert message in found.stderr
    assert found.stdout == ""
    assert not (folder / "x.npz").exists()


def test_weights_learned_as_of_another_member_are_refused(folder):
    """--learn in another order than the members', where the files say of which run they are; one may not."""
    for path in RUNS[:2]:
        for split in ("test", "out_of_fold"):
            file = f"{path}/predictions/{split}.npz"
            made = {} if file == LEARNED else {"run": path}
            replace(Predictions.load(file), provenance=made).save(file)
    learn = [f"{path}/predictions/out_of_fold.npz" for path in RUNS[:2]]
    files = [f"{path}/predictions/test.npz" for path in RUNS[:2]]
    command = [*files, "--method", "greedy", "--truth", "train.csv", "--out", "x.npz"]
    found = run(*command, "--learn", learn[1], "--learn", learn[0])
    assert found.exit_code == 1
    assert f"{files[1]}: these are of the run 'runs/b'" in found.stderr
    assert run(*command, "--learn", learn[0], "--learn", learn[1]).exit_code == 0


@pytest.mark.parametrize("method", ["mean", "trimmed --share 0.34", "stack --truth train.csv"])
def test_members_in_other_units_are_named(folder, method):
    command = [*RUNS, "--method", *method.split(), "--out", "x.npz"]
    assert run(*command).stderr == ""
    for split in ("test", "out_of_fold"):
        file = f"runs/b/predictions/{split}.npz"
        made = Predictions.load(file)
        replace(made, values=made.values / 100).save(file)
    found = run(*command)
    assert found.exit_code == 0
    assert "Warning: runs/b" in found.stderr
    assert " varies 0.01 times as much as runs/" in found.stderr
    assert run(*RUNS, "--method", "rank", "--out", "x.npz").stderr == ""


def test_targets_that_cannot_be_scored_are_counted(folder):
    truth = Predictions.load("train.csv")
    write(replace(truth, values=np.where(TARGETS == "n1", 3, truth.values)), "train.csv")
    found = run(*RUNS, "--method", "greedy", "--truth", "train.csv", "--out", "x.npz")
    assert found.exit_code == 0, found.stderr
    assert "1 of 3 targets count 0: constant or not finite in the truth" in found.stdout


def test_csv_members_keep_the_origin_that_is_beside_them(folder):
    """Of the very file: a CSV that was changed since, or has none or a damaged one beside it, is told by its name."""
    for k, made in enumerate(members("test")):
        write(replace(made, provenance={"run": f"run{k}"}), f"{k}.csv")
    (folder / "1.csv").write_text((folder / "1.csv").read_text() + "\n")
    (folder / "2.csv.provenance.json").write_text("{")
    assert run("0.csv", "1.csv", "2.csv", "--out", "y.csv").exit_code == 0
    said = CliRunner().invoke(main, ["explain", "y.csv"])
    assert [word in said.stdout for word in ("0.3333  run0", "0.3333  1.csv", "0.3333  2.csv")] == [True] * 3
    assert "unknown" not in said.stdout


def test_too_few_shared_samples_are_met_with_what_gives_more(folder):
    made = Predictions.load(LEARNED)
    replace(made, ids=made.ids[:12], values=made.values[:12]).save(LEARNED)
    found = run(*RUNS, "--method", "best", "--truth", "train.csv", "--out", "x.npz")
    assert "12 ids are predicted by all members; expected 20 or more" in found.stderr
    assert "out-of-fold predictions (`jaxlab train --folds`)" in found.stderr


@pytest.mark.parametrize("within", [lambda config: config, lambda config: {"experiment": config}])
def test_weights_learned_from_another_inference_are_warned_of(folder, within):
    """Of a run, and of folds; runs/c records no settings."""

    def keep(path: str, split: str, shift: int) -> None:
        file = f"{path}/predictions/{split}.npz"
        settings = {"type": "Inference", "tta": {"shift": shift, "mirror": False}, "refine": {"adapts": None}}
        made = {"run": path, "config": within({"inference": settings})}
        replace(Predictions.load(file), provenance=made).save(file)

    for path, split, shift in [(RUNS[0], "out_of_fold", 0), (RUNS[0], "test", 3), (RUNS[1], "test", 3)]:
        keep(path, split, shift)
    keep(RUNS[1], "out_of_fold", 3)
    found = run(*RUNS, "--method", "greedy", "--truth", "train.csv", "--out", "x.npz")
    assert found.exit_code == 0
    assert found.stderr.splitlines() == [
        "Warning: runs/a: weights are learned from predictions of other inference settings than those that are "
        f"combined: tta.shift 0 / 3 ({LEARNED} / {TEST})."
    ]
    assert run(RUNS[1] + "/predictions/test.npz", TEST, "--out", "x.npz").exit_code == 0
    (folder / "x.npz").replace(TEST)  # of two runs
    found = run(*RUNS, "--method", "greedy", "--truth", "train.csv", "--out", "x.npz")
    assert f"tta.shift 0 / 3 ({LEARNED} / {TEST})" in found.stderr


def test_what_is_read_is_not_written_over(folder):
    """A member, what weights are learned from, the truth: by any name that the file has."""
    before = {name: (folder / name).read_bytes() for name in (TEST, LEARNED)}
    (folder / "link.npz").symlink_to(folder / TEST)
    for out in (TEST, "./" + TEST, LEARNED, "link.npz"):
        found = run(*RUNS, "--method", "greedy", "--truth", "train.csv", "--out", out)
        assert (found.exit_code, found.stdout) == (1, "")
        assert ": is what is read, runs/a/predictions/" in found.stderr
    found = run(TEST, "--out", "train.csv", "--against", "train.csv")
    assert "--out train.csv: is what is read" in found.stderr
    assert before == {name: (folder / name).read_bytes() for name in before}
