"""Solutions in Kaggle's own form, with a last column Usage: of numbers, of one number, and of classes."""

import json
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr

from submit import Predictions, SubmissionError, score, write
from submit.cli.main import main
from submit.files.csv_table import read_ids
from submit.files.usage import read_usage

IDS = np.array([f"i{k:02d}" for k in range(30)])
USAGE = np.array(["Public", "Private", "Public"] * 10)
RNG = np.random.default_rng(0)


def solution(path, columns: dict[str, np.ndarray], usage: np.ndarray = USAGE):
    lines = [",".join(["id", *columns, "Usage"])]
    lines += [",".join(map(str, row)) for row in zip(IDS, *columns.values(), usage, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("targets", [["a"], ["a", "b"]])
def test_numbers_are_scored_as_a_whole_and_by_usage(targets, tmp_path):
    truth = RNG.normal(size=(30, len(targets)))
    guess = truth + RNG.normal(size=truth.shape)
    path = solution(tmp_path / "solution.csv", dict(zip(targets, truth.T, strict=True)))
    given = write(Predictions(IDS[::-1], guess[::-1], np.array(targets)), tmp_path / "guess.csv")
    found = json.loads(CliRunner().invoke(main, ["score", str(given), str(path), "--json"]).stdout)
    parts = {
        "all": (slice(None), found),
        **{name: (name == USAGE, one) for name, one in found["usage"].items()},
    }
    assert list(parts) == ["all", "Public", "Private"]
    for rows, one in parts.values():
        expected = np.mean(
            [pearsonr(x, y).statistic for x, y in zip(guess[rows].T, truth[rows].T, strict=True)]
        )
        assert one["pearson_mean"] == pytest.approx(expected, abs=1e-6)
    printed = CliRunner().invoke(main, ["score", str(given), str(path)]).stdout
    assert printed.index("Public") < printed.index("Private")


def test_classes_and_ignored_rows(tmp_path):
    names = RNG.choice(["cat", "dog"], 30)
    usage = np.where(np.arange(30) < 6, "Ignored", USAGE)
    path = solution(tmp_path / "solution.csv", {"label": names}, usage)
    wrong = np.where(np.arange(30) % 4 == 0, "ox", names)
    (tmp_path / "guess.csv").write_text(
        "id,label\n" + "".join(f"{a},{b}\n" for a, b in zip(IDS, wrong, strict=True))
    )
    found = score(tmp_path / "guess.csv", path)
    assert (found.samples, found.accuracy) == (24, np.mean((wrong == names)[6:]))
    plain = json.loads(
        CliRunner().invoke(main, ["score", str(tmp_path / "guess.csv"), str(path), "--json"]).stdout
    )
    public = usage == "Public"
    assert plain["usage"]["Public"]["accuracy"] == pytest.approx(np.mean((wrong == names)[public]))
    assert list(plain["usage"]) == ["Public", "Private"]


def test_rows_that_are_not_predicted_or_left_out(tmp_path):
    """Who leaves all public rows out has the private ones; nobody needs to predict what is not scored."""
    truth = RNG.normal(size=(30, 1))
    usage = np.where(np.arange(30) < 6, "Ignored", np.where(np.arange(30) < 12, "Public", "Private"))
    path = solution(tmp_path / "solution.csv", {"a": truth[:, 0]}, usage)
    guess = Predictions(IDS[6:], truth[6:] + RNG.normal(size=(24, 1)), np.array(["a"]))
    given = write(guess, tmp_path / "guess.csv")
    assert score(given, path).samples == 24
    (tmp_path / "out.csv").write_text("\n".join(["id", *IDS[6:12]]))
    asked = ["score", str(given), str(path), "--json", "--without", str(tmp_path / "out.csv")]
    found = json.loads(CliRunner().invoke(main, asked).stdout)
    assert {name: one["samples"] for name, one in found["usage"].items()} == {"Private": 18}
    expected = pearsonr(guess.values[6:, 0], truth[12:, 0]).statistic
    assert found["usage"]["Private"]["pearson_mean"] == pytest.approx(expected, abs=1e-6)


def test_ids_and_usage_are_read_without_the_cells_between_them(tmp_path):
    columns = 20_000
    path = tmp_path / "solution.csv"
    row = ",".join(["0.125"] * columns)
    path.write_text(
        f"id,{','.join(map(str, range(columns)))},Usage\n" + "".join(f"{k},{row},Public\n" for k in range(40))
    )
    for read in (read_ids, lambda path: read_usage(path)["Public"]):
        tracemalloc.start()
        assert read(path).tolist() == [str(k) for k in range(40)]
        assert tracemalloc.get_traced_memory()[1] < 20e6  # of all cells, 50 MB
        tracemalloc.stop()


def test_a_target_of_that_name_stays_one(tmp_path):
    path = solution(tmp_path / "solution.csv", {"a": RNG.normal(size=30)}, RNG.normal(size=30).round(3))
    assert score(path, path).targets.tolist() == ["a", "Usage"]
    odd = solution(tmp_path / "odd.csv", {"a": RNG.normal(size=30)}, np.array(["Public"] * 29 + ["?"]))
    with pytest.raises(SubmissionError, match="cells are not numbers: row 'i00', column 'Usage'"):
        score(path, odd)


def test_nothing_to_leave_out(tmp_path):
    """What `jaxlab data audit --duplicates` writes where it finds none; ids that are not there stay a mistake."""
    (tmp_path / "none.csv").write_text("id,like\n")
    assert read_ids(tmp_path / "none.csv").tolist() == []
    truth = write(Predictions(IDS, RNG.normal(size=(30, 2)), np.array(["a", "b"])), tmp_path / "truth.csv")
    given = ["score", str(truth), str(truth)]
    found = CliRunner().invoke(main, [*given, "--without", str(tmp_path / "none.csv")])
    assert found.exit_code == 0
    assert found.stdout == CliRunner().invoke(main, given).stdout
    (tmp_path / "none.csv").write_text("")
    assert (
        "found nothing" in CliRunner().invoke(main, [*given, "--without", str(tmp_path / "none.csv")]).stderr
    )
    (tmp_path / "none.csv").write_text("id\nx\n")
    assert (
        "to be left out" in CliRunner().invoke(main, [*given, "--without", str(tmp_path / "none.csv")]).stderr
    )


def test_a_ceiling_too_small_to_be_divided_by_is_told(tmp_path):
    """Six images, four presentations, of which one half split is anticorrelated: the reliability is near 0."""
    truth = write(Predictions(IDS, RNG.normal(size=(30, 2)), np.array(["a", "b"])), tmp_path / "truth.csv")
    for ceiling, told in (([0.03, 0.0], True), ([0.5, 0.0], False)):
        np.save(tmp_path / "ceiling.npy", np.array(ceiling))
        printed = CliRunner().invoke(
            main, ["rosetta", str(truth), str(truth), "--ceiling", str(tmp_path / "ceiling.npy")]
        )
        assert ("1 targets have a ceiling or a reliability below 0.1" in printed.stdout) is told


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_an_example_and_says_what_comes_next(command):
    shown = CliRunner().invoke(main, [command, "--help"]).stdout
    assert f"\n  Example:\n    python -m submit {command} " in shown
    assert "\n  Then: " in shown
    assert max(map(len, shown.splitlines())) <= 80
