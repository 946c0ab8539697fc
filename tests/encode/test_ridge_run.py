"""Ridge runs through the command line: fitted, predicted, evaluated, inspected; and what is refused."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from encoding import weights
from scipy.stats import pearsonr

import jaxlab
import submit
from jaxlab.cli.main import main
from jaxlab.data import Simulated
from jaxlab.encode.ridge import BandScore
from jaxlab.runs import ridge as ridge_run
from submit import Predictions

CONFIG = """
from jaxlab.data import Images, KaggleTable, KFold
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import LeNet5

experiment = Ridge(
    data=KaggleTable(root={folder!r}),
    encoders=(
        ImageEncoder(
            model=LeNet5(grid=1, pretrained={file!r}), images=Images(size=(16, 16)), layers=("level1", "fc1")
        ),
    ),
    blur=(0.0, 0.2),
    alphas=(0.1, 1.0, 10.0),
    split=KFold(folds=3),
)
"""


def run_command(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A Kaggle folder, a config, and its run."""
    path = tmp_path_factory.mktemp("ridge")
    Simulated(images=60, test_images=12, neurons=5, size=32).write_kaggle(path / "data")
    file = weights(path / "lenet.safetensors")
    (path / "ridge.py").write_text(CONFIG.format(folder=str(path / "data"), file=str(file)))
    said = run_command("train", path / "ridge.py", "--run", path / "run")
    assert all(band in said for band in ("level1", "level1~0.2", "fc1", "sum"))
    return path


@pytest.mark.slow
def test_a_run_predicts_a_valid_submission(place, tmp_path, monkeypatch):
    run_command("predict", place / "run", "--out", place / "out.csv")
    assert submit.check(place / "out.csv", place / "data/sample_submission.csv") == []
    run = jaxlab.load(place / "run")
    test = Predictions.load(place / "run/predictions/test.npz")
    np.testing.assert_allclose(run.predict(place / "data/test"), test.values, rtol=1e-5, atol=1e-5)
    ready = run.ready()
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))  # one that no other test writes to
    files = [ready.taken(file.read_bytes(), file.name) for file in sorted((place / "data/test").iterdir())]
    np.testing.assert_allclose(ready.predict(files), test.values, rtol=1e-5, atol=1e-5)
    assert not (tmp_path / "cache").exists()  # features of what is served are not kept
    assert test.provenance["digest"] == run.checkpoint().meta()["digest"]
    assert test.provenance["config"]["type"] == "Ridge"
    assert (place / "run/plots/bands.png").is_file()


@pytest.mark.slow
def test_other_data_leave_its_predictions_as_they_are(place, tmp_path):
    run = shutil.copytree(place / "run", tmp_path / "run")
    shutil.rmtree(run / "predictions")
    (tmp_path / "other/test").mkdir(parents=True)
    for image in (place / "data/train").iterdir():
        if len(list((tmp_path / "other/test").iterdir())) < 5:
            shutil.copy(image, tmp_path / "other/test")
    said = run_command("predict", run)
    before = (run / "predictions/test.npz").read_bytes()
    assert "test.npz: 12 images x 5 targets" in said
    run_command("predict", run, "--set", f"data.root={tmp_path / 'other'}")
    assert (run / "predictions/test.npz").read_bytes() == before
    (other,) = (run / "predictions").glob("test-data*-step0-*.npz")
    assert len(Predictions.load(other)) == 5

    table = pd.read_csv(place / "data/train.csv", dtype={"image_id": str}).iloc[:9, ::-1]
    table.to_csv(tmp_path / "other/train.csv", index=False)
    shutil.copytree(place / "data/train", tmp_path / "other/train")
    loaded = jaxlab.load(run, [f"data.root={tmp_path / 'other'}", "data.id_column=image_id"])
    files = [tmp_path / f"other/train/{name}.png" for name in table["image_id"]]
    values = pd.DataFrame(loaded.predict(files), columns=loaded.targets)
    r = [pearsonr(values[name], table[name]).statistic for name in loaded.targets]
    assert loaded.evaluation()[0]["all"]["pearson"] == pytest.approx(np.mean(r), abs=1e-5)


@pytest.mark.slow
def test_out_of_fold_predictions_are_kept_and_scored(place):
    guessed = Predictions.load(place / "run/predictions/out_of_fold.npz")
    table = pd.read_csv(place / "data/train.csv", dtype={"image_id": str}).set_index("image_id")
    truth = table.loc[guessed.ids, list(guessed.targets)].to_numpy()
    r = np.mean([pearsonr(guessed.values[:, t], truth[:, t])[0] for t in range(truth.shape[1])])
    scores = json.loads(run_command("evaluate", place / "run", "--json"))["0"]
    assert scores["validation"]["pearson"] == pytest.approx(r, abs=1e-5)
    assert scores["train"]["pearson"] > scores["validation"]["pearson"]
    report = json.loads(run_command("inspect", place / "run", "--json"))
    assert report["checkpoints"][0]["metrics"]["pearson"] == pytest.approx(r, abs=1e-5)


@pytest.mark.slow
def test_predictions_bring_their_scores_along(place):
    run, file = place / "run", place / "run/predictions/out_of_fold.npz"
    fitted = Predictions.load(file)
    run_command("predict", run, "--split", "out_of_fold")
    again = Predictions.load(file)
    np.testing.assert_array_equal(again.values, fitted.values)
    assert again.provenance == fitted.provenance
    (record,) = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert fitted.provenance["scores"]["out_of_fold"]["pearson"] == record["pearson"]
    assert fitted.provenance["digest"] == jaxlab.load(run).checkpoint().meta()["digest"]
    refused = run_command("predict", run, "--split", "validation", code=1)
    assert "ridge regression learns from all labelled samples" in refused


@pytest.mark.slow
def test_a_time_to_stop_after_is_said_to_mean_nothing(place):
    said = run_command("train", place / "ridge.py", "--run", place / "run", "--stop-after", "8h30m")
    assert "stop-after: does not apply to Ridge" in said


@pytest.mark.slow
def test_the_same_command_finds_it_fitted_and_another_config_is_refused(place):
    assert "is fitted already" in run_command("train", place / "ridge.py", "--run", place / "run")
    command = ("train", place / "ridge.py", "--run", place / "run", "--set", "standardize=True")
    assert "made by a different config: standardize: false -> true" in run_command(*command, code=1)


@pytest.mark.slow
def test_a_run_averages_with_another(place):
    said = run_command("predict", place / "run", place / "run", "--out", place / "mean.npz")
    assert "12 images x 5 targets" in said


@pytest.mark.slow
def test_other_weights_are_noticed(place, tmp_path):
    other = weights(tmp_path / "other.safetensors", seed=1)
    flags = ("--set", f"encoders.0.model.pretrained={other}")
    said = run_command("predict", place / "run", "--out", tmp_path / "out.csv", *flags, code=1)
    assert "was fitted on features of other encoders: encoders.0.digest" in said


@pytest.mark.slow
def test_a_damaged_solution_is_refused(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    file = max(
        (tmp_path / "run/checkpoints").rglob("*"), key=lambda path: path.stat().st_size * path.is_file()
    )
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    said = run_command("predict", tmp_path / "run", "--out", tmp_path / "out.csv", code=1)
    assert "the solution is damaged" in said
    assert "fit it again" in said


# The kind: a run that a kill between two writes left, or whose files were damaged since. What is done is judged by what
# is written last; the same command makes the rest.
UNDONE = {
    "killed before the predictions": lambda run: shutil.rmtree(run / "predictions"),
    "torn predictions": lambda run: cut(run / "predictions/out_of_fold.npz"),
    "a damaged solution": lambda run: cut(run / "checkpoints/0/meta.json"),
    "no solution": lambda run: shutil.rmtree(run / "checkpoints"),
    "predictions of another solution": lambda run: relabel(run / "predictions/out_of_fold.npz"),
}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def relabel(file: Path) -> None:
    kept = Predictions.load(file)
    replace(kept, provenance={**kept.provenance, "digest": "0" * 64}).save(file)


@pytest.mark.slow
@pytest.mark.parametrize("what", UNDONE)
def test_what_is_not_whole_is_fitted_again_by_the_same_command(place, tmp_path, what):
    run = shutil.copytree(place / "run", tmp_path / "run")
    whole = Predictions.load(run / "predictions/out_of_fold.npz")
    UNDONE[what](run)
    assert "is fitted already" not in run_command("train", place / "ridge.py", "--run", run)
    again = Predictions.load(run / "predictions/out_of_fold.npz")
    np.testing.assert_array_equal(again.values, whole.values)
    assert jaxlab.load(run).checkpoint().fault() is None
    assert "is fitted already" in run_command("train", place / "ridge.py", "--run", run)


def test_classes_are_refused(tmp_path):
    file = weights(tmp_path / "lenet.safetensors")
    Simulated(images=12, test_images=2, size=16, kind="classification").write_kaggle(tmp_path / "data")
    (tmp_path / "ridge.py").write_text(CONFIG.format(folder=str(tmp_path / "data"), file=str(file)))
    said = run_command("train", tmp_path / "ridge.py", "--run", tmp_path / "run", code=1)
    assert "Ridge: expected targets that are numbers, but KaggleTable has classes" in said
    assert not (tmp_path / "run").exists()


def test_regions_have_a_line_each():
    from rich.console import Console

    rows = [
        BandScore(name, np.array(score), np.ones(4))
        for name, score in (("a", [1.0, 0, 0, 0]), ("b", [0, 0, 1.0, 0]))
    ]
    rows.append(BandScore("sum", np.array([0.5, 0.7, 0.1, 0.3]), np.ones(4)))
    regions = {f"region{k}": np.arange(4) // 2 == k for k in range(2)}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(ridge_run._by_region(rows, regions))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[1:] == [["region0", "2", "0.6000", "a", "0.5000"], ["region1", "2", "0.2000", "b", "0.5000"]]
