import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Predictions, write
from submit.cli.main import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """a.npz and b.csv, a sample, a solution and its ceiling, in the working directory."""
    monkeypatch.chdir(tmp_path)
    ids, targets = np.array([f"{i:03d}" for i in range(20)]), np.array(["n0", "n1"])
    values = np.random.default_rng(0).standard_normal((20, 2))
    write(Predictions(ids, values, targets), "solution.csv")
    Predictions(ids[::-1], values[::-1] + 1, targets).save("a.npz")
    write(Predictions(ids, values * 2, targets), "b.csv")
    write(Predictions(ids, values * 0, targets), "sample.csv")
    np.save("ceiling.npy", np.array([0.25, 0.64]))
    (tmp_path / "other.csv").write_text("id\nimg1\n")
    (tmp_path / "empty.csv").write_text("\n")
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


def test_score_prints_a_table_or_json(folder):
    table = run("score", "a.npz", "solution.csv", "--ceiling", "ceiling.npy")
    assert table.exit_code == 0
    for row in ["Pearson r, median", "1.0000", "share of ceiling, mean", "1.6250", "constant targets"]:
        assert row in table.stdout
    found = run("score", "a.npz", "solution.csv", "--ceiling", "ceiling.npy", "--json")
    plain = json.loads(found.stdout)
    assert plain["pearson_mean"] == pytest.approx(1)
    assert plain["noise_normalised_median"] == pytest.approx((1 / 0.5 + 1 / 0.8) / 2)
    assert plain["per_target"] == pytest.approx({"n0": 1, "n1": 1})


def test_score_leaves_out_the_ids_of_a_list(folder):
    """Ids of other samples, such as training images, may be among them."""
    (folder / "list.csv").write_text('id,like\n003,train1\n"007",train2\ntrain9,train1\n')
    values = Predictions.load("solution.csv").values
    noisy = values + np.random.default_rng(1).standard_normal((20, 2))
    write(Predictions(np.array([f"{i:03d}" for i in range(20)]), noisy, np.array(["n0", "n1"])), "noisy.csv")
    kept = np.delete(np.arange(20), [3, 7])
    plain = json.loads(run("score", "noisy.csv", "solution.csv", "--without", "list.csv", "--json").stdout)
    assert plain["samples"] == 18
    expected = [np.corrcoef(noisy[kept, k], values[kept, k])[0, 1] for k in range(2)]
    assert list(plain["per_target"].values()) == pytest.approx(expected, rel=1e-4)
    (folder / "list.csv").write_text("003\n007\n")
    found = run("score", "noisy.csv", "solution.csv", "--without", "list.csv")
    assert "list.csv: expected a header such as `id` above the ids; its first line is '003'." in found.stderr


def test_check_says_yes_or_lists_the_faults(folder):
    assert run("check", "b.csv", "--against", "sample.csv").exit_code == 0
    assert run("check", "a.npz", "--against", "sample.csv").exit_code == 0
    (folder / "b.csv").write_text((folder / "b.csv").read_text().replace("n1", "m").replace("007,", "7,"))
    found = run("check", "b.csv", "--against", "sample.csv")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert "- Required column 'n1' could not be found" in found.stderr
    assert "- 1 ids missing from the submission: '007'" in found.stderr


@pytest.mark.parametrize("out", ["out.npz", "out.csv"])
def test_ensemble_of_an_npz_and_a_csv(folder, out):
    found = run(
        "ensemble", "a.npz", "b.csv", "--out", out, "--weights", "0.75,0.25", "--against", "sample.csv"
    )
    assert (found.exit_code, found.stderr) == (0, "")
    back, solution = Predictions.load(out), Predictions.load("solution.csv")
    expected = 0.75 * (solution.values + 1) + 0.25 * solution.values * 2
    rows = [back.ids.tolist().index(name) for name in solution.ids]
    np.testing.assert_allclose(back.values[rows], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("command", ["ensemble", "write --format kaggle"])
def test_a_csv_that_no_sample_was_given_for_is_said_to_be_unchecked(folder, command):
    found = run(*command.split(), "a.npz", "--out", "out.csv")
    assert found.exit_code == 0
    assert found.stderr.startswith("Warning: out.csv: not checked against the competition")
    assert "--against sample_submission.csv" in found.stderr
    assert run(*command.split(), "a.npz", "--out", "out.csv", "--against", "sample.csv").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "none.npz", "solution.csv"], "none.npz: there is no such file"),
        (["score", "runs/none", "solution.csv"], "runs/none: there is no such file."),
        (["score", "a.npz", "none.csv"], "none.csv: the file cannot be read"),
        (["score", "a.npz", "solution.csv", "--ceiling", "a.npz"], "found an npz"),
        (["score", "a.npz", "solution.csv", "--ceiling", "none.npy"], "none.npy: there is no such file"),
        (["score", "a.npz", "solution.csv", "--without", "none.csv"], "none.csv: the file cannot be read"),
        (["score", "a.npz", "solution.csv", "--without", "other.csv"], "expected some of the 20 ids"),
        (
            ["score", "a.npz", "solution.csv", "--without", "empty.csv"],
            "empty.csv: expected a header and a row",
        ),
        (["score", "a.npz"], "Missing argument 'SOLUTION'"),
        (
            ["write", "a.npz", "--format", "kaggle", "--out", "sample.csv", "--against", "sample.csv"],
            "is what is read",
        ),
        (["check", "b.csv"], "checked against the competition's sample_submission.csv (--against)"),
        (["ensemble", "a.npz", "b.csv", "--out", "x.txt"], "expected a .npz or .csv file"),
        (["ensemble", "a.npz", "b.csv", "--out", "x.npz", "--weights", "1"], "1 weights for 2 predictions"),
        (
            ["ensemble", "a.npz", "b.csv", "--out", "x.npz", "--weights", "1,x"],
            "expected numbers as in 0.3,0.7",
        ),
    ],
)
def test_mistakes_exit_with_one_and_a_sentence(folder, arguments, message):
    found = run(*arguments)
    assert found.exit_code == 1
    assert message in found.stderr
    assert found.stdout == ""
    assert isinstance(found.exception, SystemExit)


@pytest.mark.parametrize("split", ["test", "out_of_fold"])
def test_predictions_of_a_run_are_no_truth(folder, split):
    values = Predictions.load("a.npz")
    Predictions(values.ids, values.values, values.targets, split=split, provenance={"run": "ridge"}).save(
        "x.npz"
    )
    assert run("score", "x.npz", "solution.csv").exit_code == 0
    for predictions in ("solution.csv", "a.npz"):
        refused = run("score", predictions, "x.npz").stderr
        assert (
            "x.npz holds predictions of run ridge; expected true values: did you swap the arguments?"
            in refused
        )
    assert run("ensemble", "a.npz", "b.csv", "--out", "both.npz").exit_code == 0
    assert "both.npz holds predictions of an ensemble;" in run("score", "a.npz", "both.npz").stderr


def test_targets_that_are_constant_in_the_truth_are_counted(folder):
    values = Predictions.load("a.npz")
    write(Predictions(values.ids, values.values * [0, 1], values.targets), "constant.csv")
    shown = run("score", "a.npz", "constant.csv").stdout
    assert shown.split("those constant in the truth")[1].split()[1] == "1"
    assert json.loads(run("score", "a.npz", "constant.csv", "--json").stdout)["constant_in_truth"] == 1
    assert "in the truth" not in run("score", "constant.csv", "a.npz").stdout


def test_of_a_run_directory_the_file_to_give_is_named(folder):
    assert "none: there is no such file" in run("score", "none", "solution.csv").stderr
    (folder / "run.1").mkdir()
    assert "run.1: expected a .npz or .csv file." in run("score", "run.1", "solution.csv").stderr
    for split in ("out_of_fold", "test"):
        Predictions.load("a.npz").save(f"run.1/predictions/{split}.npz")
    refused = run("score", "run.1", "solution.csv").stderr
    assert "run.1/predictions/test.npz, run.1/predictions/out_of_fold.npz: give a file" in refused


@pytest.mark.parametrize("out", ["x.npz", "x.csv"])
def test_an_ensemble_that_fails_the_check_is_not_written(folder, out):
    (folder / "sample.csv").write_text("id,n0,n1\n000,0,0\n")
    found = run("ensemble", "a.npz", "--out", out, "--against", "sample.csv")
    assert found.exit_code == 1
    assert "Submission must have 1 rows; it has 20" in found.stderr
    assert not (folder / out).exists()


def test_each_command_is_said_on_a_line_of_eighty_columns():
    """Of which click leaves 78, takes 6 for margins, and cuts off with dots what does not fit."""
    width = 78 - 6 - max(map(len, main.commands))
    said = [command.get_short_help_str(width) for command in main.commands.values()]
    assert [line for line in said if line.endswith("...") or not line] == []


def test_as_a_program(folder):
    command = [sys.executable, "-m", "submit"]
    helped = subprocess.run([*command, "score", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert helped.stdout.startswith("Usage: python -m submit score [OPTIONS] PREDICTIONS SOLUTION")
    failed = subprocess.run([*command, "score", "b.csv", "none.csv"], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "Error: none.csv: the file cannot be read (No such file or directory).\n"
