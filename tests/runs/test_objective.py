"""`predict --objective`: the other objective's own predictions, by name, kept apart from the first one's."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tiny import train

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data import Images, KaggleTable, RandomSplit, Simulated
from jaxlab.experiment import Experiment, Folds, Objective, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShallowCNN
from submit import Predictions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Kaggle folder, whose sample asks for the activity, with a column of categories."""
    data = Simulated(images=40, test_images=6, neurons=3, size=16, categories=4)
    path = tmp_path_factory.mktemp("kaggle") / "FOLDER"
    data.write_kaggle(path)
    learned = data.open().train
    category = dict(zip(learned.ids.tolist(), learned.columns["category"], strict=True))
    table = pd.read_csv(path / "train.csv", dtype={"image_id": str})
    table.assign(category=table["image_id"].map(category)).to_csv(path / "train.csv", index=False)
    return path


@pytest.fixture(scope="module")
def config(folder):
    return Experiment(
        data=KaggleTable(root=str(folder), columns=("category",)),
        images=Images(size=(16, 16)),
        split=RandomSplit(validation=0.4),
        model=ShallowCNN(channels=(4, 4), kernel_sizes=(3, 3)),
        objectives={
            "activity": Objective(head=Linear(layer="level2")),
            "object": Objective(head=Linear(layer="level2"), loss=CrossEntropy(), of="category"),
        },
        training=Training(steps=3, batch_size=8),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return train(config, tmp_path_factory.mktemp("two") / "run")


def predict(*arguments):
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    return result.exit_code, result.output


def test_its_own_predictions_are_kept_under_its_name(run, tmp_path):
    """Their accuracy, counted here, is the validation's; the first objective's are not touched."""
    loaded = jaxlab.load(run)
    first = loaded.keep("validation")
    code, output = predict(run, "--objective", "object", "--split", "validation")
    assert code == 0, output
    kept = Predictions.load(run / "predictions/validation-object.npz")
    assert (kept.kind, kept.targets.tolist()) == ("logits", [f"category{k}" for k in range(4)])
    assert (kept.provenance["objective"], "objective" in first.provenance) == ("object", False)
    assert Predictions.load(run / "predictions/validation.npz").values.tolist() == first.values.tolist()
    known = dict(zip(loaded.opened.train.ids, loaded.opened.train.columns["category"], strict=True))
    right = kept.targets[kept.values.argmax(1)] == [known[sample] for sample in kept.ids]
    assert right.mean() == pytest.approx(loaded.evaluate()["validation"]["object/accuracy"])
    assert loaded.predicting("activity").predicts is None


def test_files_are_written_in_the_forms_that_make_sense(run, folder, tmp_path):
    """A submission's sample asks for the activity: what it cannot check is written all the same, and said."""
    code, output = predict(run, "--objective", "object", "--out", tmp_path / "object.csv")
    assert code == 0, output
    assert "with probabilities, not checked:" in output
    assert "asks for another objective than object" in output
    header, *rows = (tmp_path / "object.csv").read_text().splitlines()
    assert header.split(",")[1:] == [f"category{k}" for k in range(4)]
    assert [sum(map(float, row.split(",")[1:])) for row in rows] == pytest.approx([1] * 6, abs=1e-5)
    images, labels = folder / "test", tmp_path / "labels.csv"
    code, output = predict(
        run, "--objective", "object", "--images", images, "--out", labels, "--as", "labels"
    )
    assert code == 0, output
    assert {line.split(",")[1] for line in labels.read_text().splitlines()[1:]} <= {
        f"category{k}" for k in range(4)
    }
    code, output = predict(run, "--objective", "activity", "--out", tmp_path / "activity.csv")
    assert "checked against" in output, output


def test_an_unknown_name_is_one_message(run):
    code, output = predict(run, "--objective", "objct")
    assert (code, output) == (
        1, f"error: {run}: expected one of its objectives, activity, object, found 'objct'\n",
    )  # fmt: skip
    with pytest.raises(UserError, match="found 'label'"):
        jaxlab.load(run).predicting("label")


def test_folds_predict_and_are_evaluated_by_each(config, tmp_path):
    run = train(Folds(experiment=config, folds=2), tmp_path / "run")
    code, output = predict(run, "--objective", "object")
    assert code == 0, output
    mean = Predictions.load(run / "predictions/test-object.npz")
    each = [Predictions.load(run / f"fold{k}/predictions/test-object.npz") for k in range(2)]
    softmax = [np.exp(one.values) / np.exp(one.values).sum(1, keepdims=True) for one in each]
    found = np.exp(mean.values) if mean.kind == "logits" else mean.values
    np.testing.assert_allclose(found / found.sum(1, keepdims=True), np.mean(softmax, axis=0), rtol=1e-4)
    assert mean.provenance["objective"] == "object"
    scores = jaxlab.load(run).evaluate()["out_of_fold"]
    out_of_fold = jaxlab.load(run).predicting("object").keep("out_of_fold")
    learned = jaxlab.load(run).opened.train
    known = dict(zip(learned.ids, learned.columns["category"], strict=True))
    right = out_of_fold.targets[out_of_fold.values.argmax(1)] == [known[s] for s in out_of_fold.ids]
    assert scores["object/accuracy"] == pytest.approx(right.mean())
    assert scores["activity/pearson"] == scores["pearson"]
    assert Predictions.load(run / "predictions/out_of_fold.npz").kind == "regression"
