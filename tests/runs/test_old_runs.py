"""What jaxlab 0.1 wrote stays readable: its runs predict, evaluate, average and go on as they did then.

runs_of_0_1.tar.gz holds what that version left behind (commit a824fe8, on one device): a network with a loss of the
user's own, two folds of it, their soup, a ridge regression, and the network's training stopped in mid-epoch.
bundle_of_0_1.tar.gz is its bundle of the network and the folds, without the wheels.
"""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import jaxlab
import submit
from jaxlab.cli.main import main
from jaxlab.training.checkpoint import saved

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    for name in ("runs", "bundle"):
        with tarfile.open(Path(__file__).parents[1] / f"reference/{name}_of_0_1.tar.gz") as file:
            file.extractall(folder, filter="data")
    return folder


@pytest.fixture(autouse=True)
def any_rounding(monkeypatch):
    """The ridge regression's encoder has random weights, whose last bits are those of the XLA that drew them."""
    monkeypatch.setattr("jaxlab.runs.ridge.changed_encoders", lambda *_: [])


@pytest.mark.parametrize("name", ["network", "folds", "folds/fold0", "soup", "ridge"])
def test_predictions_are_those_of_then(old, name):
    then = submit.Predictions.load(old / name / "predictions/test.npz")
    run = jaxlab.load(old / name, trust=True)
    now = run.predict_split("test")
    assert (now.ids.tolist(), now.targets.tolist(), now.kind) == (
        then.ids.tolist(),
        then.targets.tolist(),
        then.kind,
    )
    np.testing.assert_allclose(now.values, then.values, rtol=1e-4, atol=1e-5)
    assert [member.rundir.path for member in run.members] == (
        [old / "folds/fold0", old / "folds/fold1"] if name == "folds" else [old / name]
    )


@pytest.mark.parametrize("name", ["network", "folds", "ridge"])
def test_scores_are_those_of_then(old, name, tmp_path):
    copy = shutil.copytree(old / name, tmp_path / name)  # scores may be added to its metrics.jsonl
    result = CliRunner().invoke(main, ["evaluate", str(copy), "--json", "--trust-config"])
    assert result.exit_code == 0, result.output
    now, then = json.loads(result.stdout), json.loads((old / "evaluated.json").read_text())[name]
    assert now.keys() == then.keys()
    for row, splits in then.items():
        assert now[row].keys() == splits.keys()
        for split, scores in splits.items():
            same = {name: now[row][split][name] for name in scores}  # others came later
            assert same == pytest.approx(scores, rel=1e-3, abs=1e-4)


def test_its_training_goes_on_in_mid_epoch(old, tmp_path):
    """Up to rounding, since the machine may be another; in the very same place, with sums that had no name then."""
    run = shutil.copytree(old / "stopped", tmp_path / "run")
    result = CliRunner().invoke(main, ["train", str(old / "small.py"), "--run", str(run)])
    assert result.exit_code == 0, result.output
    assert "going on from step 4" in result.output
    (mine, theirs) = (saved(path / "checkpoints")[-1] for path in (run, old / "network"))
    assert mine.step == theirs.step == 8  # two epochs of four steps
    found, expected = mine.arrays(), theirs.arrays()
    for field in ("params", "ema", "stats"):
        for path, leaf in expected[field].items():
            np.testing.assert_allclose(found[field][path], leaf, rtol=2e-3, atol=2e-4, err_msg=path)


def test_its_bundle_predicts_as_its_notebook_does(old):
    for member in json.loads((old / "bundle/bundle.json").read_text())["runs"]:
        run = jaxlab.load(old / "bundle" / member["path"], trust=True)
        now, then = (
            run.predict_split("test", member["which"]),
            submit.Predictions.load(old / member["name"] / "predictions/test.npz"),
        )
        assert now.ids.tolist() == then.ids.tolist()
        np.testing.assert_allclose(now.values, then.values, rtol=1e-4, atol=1e-5)


def test_its_out_of_fold_predictions_are_taken_as_they_are(old, tmp_path):
    folds = jaxlab.load(old / "folds", trust=True)
    assert folds.kept is not None
    assert folds.kept.values.shape == (40, 3)


def test_it_can_be_inspected_and_averaged(old, tmp_path):
    for name in ("network", "folds", "soup", "ridge", "stopped"):
        result = CliRunner().invoke(main, ["inspect", str(old / name), "--json"])
        assert result.exit_code == 0, result.output
    made = jaxlab.soup([old / "folds/fold0", old / "folds/fold1"], tmp_path / "soup", trust=True)
    ours, then = (saved(path / "checkpoints")[-1].arrays(("params",)) for path in (made, old / "soup"))
    for path, leaf in then["params"].items():
        np.testing.assert_array_equal(ours["params"][path], leaf)
