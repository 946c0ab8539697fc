"""Scores of runs by target and by class: `evaluate --details`, of trained networks and of those before training."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import ks_2samp, pearsonr
from sklearn.metrics import confusion_matrix
from tiny import parts_of, tiny

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened
from jaxlab.experiment.sides import positions_of
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.objectives import Classification, Labelled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detailed(trained, tmp_path_factory):
    """What `evaluate --untrained` says, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("details") / "out"
    done = CliRunner().invoke(main, ["evaluate", str(trained), "--untrained", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), out


def test_details_are_scipys_of_what_the_run_predicts(trained, arrays_npz, detailed):
    found, run = detailed[0]["details"], jaxlab.load(trained)
    file = np.load(arrays_npz)
    (step,) = (by_split for name, by_split in detailed[0].items() if name != "details")
    for split, rows in zip(("train", "validation"), positions_of(run.experiment, run.opened), strict=True):
        values, truth = run.predict(file["images"][rows]), file["targets"][rows]
        r = [pearsonr(x, y).statistic for x, y in zip(values.T, truth.T, strict=True)]
        ks = [ks_2samp(x, y).statistic for x, y in zip(values.T, truth.T, strict=True)]
        one = found[split]
        assert one["samples"] == len(rows)
        assert one["pearson"] == pytest.approx(np.mean(r), abs=1e-4)
        assert one["ks_distance"] == pytest.approx(np.mean(ks), abs=1e-6)
        assert one["spread_ratio"] == pytest.approx((values.std(0) / truth.std(0)).mean(), rel=1e-4)
        assert one["spread_ratio"] == pytest.approx(step[split]["spread_ratio"], rel=1e-4)
    assert set(found) == {"train", "validation", "train_untrained", "validation_untrained"}


def test_before_training_is_the_state_that_training_starts_from(trained, arrays_npz):
    run = jaxlab.load(trained)
    before, start = run.untrained(run.checkpoint()), parts_of(tiny(arrays_npz)).state
    assert before.params.keys() == start.params.keys()
    for part in ("params", "constants"):
        for name, leaf in getattr(start, part).items():
            np.testing.assert_array_equal(getattr(before, part)[name], leaf, err_msg=name)


def test_files_are_by_split(detailed):
    found, out = detailed
    assert {path.name for path in out.iterdir()} == set(found["details"])
    table = pd.read_csv(out / "validation/targets.csv")
    assert table["pearson"].mean() == pytest.approx(found["details"]["validation"]["pearson"])
    assert (out / "validation/distributions.png").read_bytes()[:4] == b"\x89PNG"


def test_folds_are_broken_down_out_of_fold(folded):
    run = jaxlab.load(folded)
    ((labelled, found),) = run.breakdowns()
    assert (labelled.split, found.samples) == ("out_of_fold", 44)
    assert found.summary()["pearson"] == pytest.approx(run.evaluate()["out_of_fold"]["pearson"], abs=1e-6)
    with pytest.raises(UserError, match=r"each fold begins as the same network; ask one \(jaxlab evaluate"):
        list(run.labelled(untrained=True))


def test_details_of_all_checkpoints_are_refused(trained, tmp_path):
    def said(*more):
        done = CliRunner().invoke(main, ["evaluate", str(trained), *more])
        assert done.exit_code == 1
        return done.output

    assert "--details: expected one checkpoint" in said("--details", "--checkpoints", "all")
    (tmp_path / "mine").write_text("something")
    assert "there is something already; name a new folder" in said("--out", str(tmp_path))


def test_classes_that_are_none_of_the_networks_count_as_wrong():
    """As the logits' arg-max against scikit-learn's confusion matrix; a sample of label -1 is in no row of it."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 40).astype(np.int32)
    logits = (rng.normal(size=(40, 3)) + 2 * np.eye(3)[label]).astype(np.float32)
    label[5:8] = -1
    names, nothing = ("a", "b", "c"), lambda position: None
    samples = Samples(np.arange(40).astype(str), nothing, nothing, label=label)
    opened = Opened(train=samples, test=None, kind="classification", targets=names)
    objective = Classification(name="label", of="label", head=Linear(), loss=CrossEntropy(), targets=names)
    rows = np.arange(2, 40)
    found = objective.breakdown(Labelled("validation", rows, logits[rows]), opened)
    known = rows[label[rows] >= 0]
    np.testing.assert_array_equal(found.confusion, confusion_matrix(label[known], logits[known].argmax(1)))
    assert found.scores["accuracy"] == pytest.approx((logits[rows].argmax(1) == label[rows]).mean())
    assert found.without == 3
    assert 0 < found.scores["calibration_error"] < 1
