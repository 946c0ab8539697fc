"""Folds: how an experiment is wrapped, what lies where, who predicts which sample, and what is found again."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from tiny import folded_run, tiny

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.config import from_json, override, to_json
from jaxlab.core.lock import locked
from jaxlab.core.types import UserError
from jaxlab.data import Images, Simulated
from jaxlab.data.split import ColumnSplit, GroupedSplit, KFold, RandomSplit
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Experiment
from jaxlab.experiment.folds import Folds, in_folds
from jaxlab.experiment.sides import positions_of
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.runs import api
from jaxlab.runs.folds import scores_by_fold
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from submit import Predictions, metrics


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (RandomSplit(validation=0.3, seed=4), KFold(folds=3, seed=4)),
        (GroupedSplit(column="session", seed=2), KFold(folds=3, seed=2, column="session")),
        (KFold(folds=3, fold=1, seed=7, column="session"), KFold(folds=3, seed=7, column="session")),
    ],
)
def test_the_split_says_how_samples_are_dealt(split, expected):
    folds = Folds(experiment=Experiment(split=split), folds=3)
    assert folds.split == expected
    assert [folds.fold(k).split.fold for k in range(3)] == [0, 1, 2]
    assert {folds.fold(k).split.seed for k in range(3)} == {split.seed}
    assert from_json(json.loads(json.dumps(to_json(folds)))) == folds


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(UserError, match=r"Folds: split=ColumnSplit\(\.\.\.\) says itself"):
        in_folds(Experiment(split=ColumnSplit()), 5)
    with pytest.raises(UserError, match=r"split, 10, found 5; give --folds 10, or --set split.folds=5"):
        in_folds(Experiment(split=KFold(folds=10)), 5)
    with pytest.raises(UserError, match="expected folds >= 2"):
        Folds(folds=1)
    with pytest.raises(UserError, match="expected at most 10,000, found 1000"):  # before it lists them all
        Folds(folds=10**30)
    ridge = Ridge(encoders=(ImageEncoder(model=LeNet5(grid=1), images=Images(size=(32, 32))),))
    with pytest.raises(UserError, match=r"--folds 5: Ridge has folds of its own \(--set split.folds=5\)"):
        in_folds(ridge, 5)


def test_settings_name_fields_of_the_experiment_within():
    folds = Folds(folds=4).overridden(["training.batch_size=8", "split.seed=3"])
    assert (folds.experiment.training.batch_size, folds.split.seed, folds.folds) == (8, 3, 4)
    assert Experiment().overridden(["seed=2"]) == override(Experiment(), ["seed=2"])
    with pytest.raises(UserError, match="Experiment has no field 'folds'"):
        Folds().overridden(["folds=2"])
    assert in_folds(Folds(folds=4), 3) == Folds(folds=3)


def test_a_smoke_test_has_two_tiny_folds():
    small = Folds(experiment=Experiment(split=KFold(folds=6, seed=3)), folds=6).smoke()
    assert small.split == KFold(folds=2, seed=3)
    assert small.experiment.training.steps == 2


def jaxlab_command(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.mark.slow
def test_each_sample_is_predicted_by_the_fold_that_did_not_learn_it(folded, arrays_npz):
    kept, file = Predictions.load(folded / "predictions/out_of_fold.npz"), np.load(arrays_npz)
    assert (kept.split, kept.kind, len(kept)) == ("out_of_fold", "regression", 44)
    opened = tiny(arrays_npz).data.open()
    assert kept.ids.tolist() == opened.train.ids.tolist()
    for number in range(2):
        fold = jaxlab.load(folded / f"fold{number}")
        assert fold.experiment.split == KFold(folds=2, fold=number)
        learned, validation = positions_of(fold.experiment, opened)
        assert not set(learned) & set(validation)
        own = fold.predict_split("validation", "last")
        assert own.ids.tolist() == opened.train.ids[validation].tolist()
        np.testing.assert_array_equal(own.values, kept.values[validation])
    scores = journal.validations(folded / "metrics.jsonl")[0]
    assert scores["pearson"] == pytest.approx(metrics.pearson(kept.values, file["targets"]).mean())
    assert kept.provenance["scores"]["out_of_fold"] == scores
    assert [one["run"] for one in kept.provenance["folds"]] == ["fold0", "fold1"]


@pytest.mark.slow
def test_scores_of_each_fold_are_those_of_its_validation(folded):
    kept = Predictions.load(folded / "predictions/out_of_fold.npz")
    for number, made in enumerate(kept.provenance["folds"]):
        last = journal.read(folded / f"fold{number}/metrics.jsonl", "validation")[-1]
        by_fold = scores_by_fold(kept)[f"fold{number}"]
        assert made["scores"]["validation"]["loss"] == last["loss"]
        for name in ("pearson", "explained_variance", "mse"):
            assert by_fold[name] == pytest.approx(last[name], rel=1e-4)


@pytest.mark.slow
def test_the_run_predicts_the_mean_of_its_folds(folded, arrays_npz, tmp_path):
    run = shutil.copytree(folded, tmp_path / "run")
    jaxlab_command("predict", run, "--out", tmp_path / "out.npz")
    whole = Predictions.load(tmp_path / "out.npz")
    folds = [jaxlab.load(run / f"fold{number}") for number in range(2)]
    own = [fold.predict_split("test", "last") for fold in folds]
    np.testing.assert_allclose(whole.values, np.mean([one.values for one in own], axis=0), rtol=1e-6)
    for number, one in enumerate(own):
        kept = Predictions.load(run / f"fold{number}/predictions/test.npz")
        np.testing.assert_array_equal(kept.values, one.values)
        assert whole.provenance["ensemble"][number]["provenance"]["digest"] == one.provenance["digest"]
    assert whole.provenance["scores"]["out_of_fold"] == journal.validations(run / "metrics.jsonl")[0]
    images = np.load(arrays_npz)["test_images"]
    np.testing.assert_allclose(jaxlab.load(run).predict(images), whole.values, rtol=1e-5)

    jaxlab_command("predict", run, run / "fold0", "--out", tmp_path / "mixed.npz", "--checkpoint", "best")
    mixed = Predictions.load(tmp_path / "mixed.npz").provenance["ensemble"]
    best = [fold.checkpoint("best").meta()["digest"] for fold in folds]
    assert [one["provenance"]["digest"] for one in mixed[0]["provenance"]["ensemble"]] == best
    assert mixed[0]["provenance"]["scores"] == {"out_of_fold": {}}, "those are of the last checkpoints"
    assert mixed[1]["provenance"]["digest"] == best[0]


@pytest.mark.slow
def test_evaluate_and_inspect_list_the_folds(folded):
    scores = json.loads(jaxlab_command("evaluate", folded, "--json"))
    kept = journal.validations(folded / "metrics.jsonl")[0]
    assert scores["all"]["out_of_fold"] == pytest.approx(kept)
    assert list(scores) == ["fold0", "fold1", "all"]
    assert "fold1 validation" in " ".join(jaxlab_command("evaluate", folded).split())
    assert "evaluated by `jaxlab evaluate" in jaxlab_command(
        "evaluate", folded, "--checkpoints", "all", code=1
    )
    report = json.loads(jaxlab_command("inspect", folded, "--json"))
    assert [fold["step"] for fold in report["folds"]] == [6, 6]
    assert report["out_of_fold"] == kept
    shown = jaxlab_command("inspect", folded)
    assert "out of fold" in shown
    assert "ShallowCNN" in shown


@pytest.mark.slow
def test_trained_folds_are_found_and_only_what_is_missing_is_made(folded, arrays_npz, tmp_path):
    """As single experiments would leave them: the folds alone, without anything of the whole."""
    for number in range(2):
        shutil.copytree(folded / f"fold{number}", tmp_path / f"run/fold{number}")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("metrics.jsonl")}
    with pytest.raises(UserError, match="is not a run directory"):
        jaxlab.load(tmp_path / "run")
    out = io.StringIO()
    given = {"run": tmp_path / "run", "console": Console(file=out, width=200)}
    api.train(Folds(experiment=tiny(arrays_npz), folds=2), **given)
    said = out.getvalue()
    assert said.count("all 6 steps are done") == 2
    assert "fold 2 of 2: " in said
    assert all(row in said for row in ("mean", "sd", "out of fold"))
    assert all(path.read_bytes() == content for path, content in before.items())
    made, kept = (Predictions.load(run / "predictions/out_of_fold.npz") for run in (tmp_path / "run", folded))
    np.testing.assert_array_equal(made.values, kept.values)
    time = (tmp_path / "run/predictions/out_of_fold.npz").stat().st_mtime_ns
    api.train(Folds(experiment=tiny(arrays_npz), folds=2), **given)
    assert (tmp_path / "run/predictions/out_of_fold.npz").stat().st_mtime_ns == time

    with pytest.raises(UserError, match=r"made by a different config: experiment.seed: 0 -> 1"):
        api.train(Folds(experiment=tiny(arrays_npz, "seed=1"), folds=2), **given)
    with pytest.raises(
        UserError, match=r"is the run of Experiment\(...\), not of Folds\(...\): give another"
    ):
        api.train(Folds(experiment=tiny(arrays_npz), folds=2), tmp_path / "run/fold0")
    with pytest.raises(UserError, match=r"is the run of Folds\(...\), not of Experiment\(...\)"):
        api.train(tiny(arrays_npz), tmp_path / "run", allow_config_change=True)
    shutil.rmtree(tmp_path / "run/fold1")
    with pytest.raises(UserError, match=r"1 of 2 folds have no checkpoint yet \(fold1\)"):
        jaxlab.load(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["torn", "no npz", "absent"])
def test_out_of_fold_predictions_that_are_not_whole_are_made_anew(folded, arrays_npz, tmp_path, what):
    run = shutil.copytree(folded, tmp_path / "run")
    file = run / "predictions/out_of_fold.npz"
    whole = Predictions.load(file)
    file.write_bytes(file.read_bytes()[:-30] if what == "torn" else b"mine")
    if what == "absent":
        file.unlink()
    folded_run(arrays_npz, run)
    np.testing.assert_array_equal(Predictions.load(file).values, whole.values)


def test_folds_that_cannot_all_be_filled_are_refused_before_the_first(arrays_npz, tmp_path):
    with pytest.raises(UserError, match="of 44 samples, 44 are for training and 0 for validation"):
        api.train(Folds(experiment=tiny(arrays_npz), folds=45), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_may_have_been_learned_is_not_taken_for_new(folded, trained, arrays_npz, tmp_path):
    """With one sample less, the others are dealt to other folds."""
    arrays = dict(np.load(arrays_npz))
    fewer = {name: arrays[name][1:] for name in ("images", "targets")}
    np.savez(tmp_path / "fewer.npz", **{**arrays, **fewer})
    root = f"data.root={tmp_path / 'fewer.npz'}"
    runs = {name: shutil.copytree(run, tmp_path / name) for name, run in (("f", folded), ("t", trained))}
    for arguments in (
        ("predict", runs["f"], "--split", "out_of_fold", "--set", root),
        ("predict", runs["t"], "--split", "validation", "--set", root),
    ):
        assert "was trained on other data or another split" in jaxlab_command(*arguments, code=1)
    assert not (runs["t"] / "predictions").exists()
    given = {"run": runs["f"], "allow_config_change": True}
    for folds in (
        Folds(experiment=tiny(arrays_npz), folds=3),
        Folds(experiment=tiny(tmp_path / "fewer.npz"), folds=2),
    ):
        with pytest.raises(
            UserError, match=r"fold0 was trained on other data or another split \((split|data)"
        ):
            api.train(folds, **given)


@pytest.mark.slow
def test_what_inference_did_is_said_of_all_folds(folded, tmp_path):
    run, mirrored = shutil.copytree(folded, tmp_path / "run"), ("--set", "inference.tta.mirror=true")
    for split in ("test", "out_of_fold"):
        said = jaxlab_command("predict", run, "--out", tmp_path / "out.npz", "--split", split, *mirrored)
        assert f"{run}: 2 views of each image: predictions moved by" in said
        made = Predictions.load(run / f"predictions/{split}.npz").provenance
        folds = made["folds"] if split == "out_of_fold" else [one["provenance"] for one in made["ensemble"]]
        assert made["inference"]["moved"] == np.mean([fold["inference"]["moved"] for fold in folds])
        assert made["config"]["experiment"]["inference"] == folds[0]["config"]["inference"]
        if split == "test":
            assert made["scores"] == {"out_of_fold": {}}, "those kept are of images as they are"


@pytest.mark.slow
def test_the_command_takes_any_experiment_and_one_that_is_folds_already(arrays_npz, tmp_path):
    flags = ("--smoke", "--set", f"data.root={arrays_npz}")
    config = Path(__file__).parents[1] / "tiny_config.py"
    wrapped = (
        config.read_text()
        + "\nfrom jaxlab.experiment.folds import Folds\n\nexperiment = Folds(experiment=experiment)\n"
    )
    (tmp_path / "folds.py").write_text(wrapped)
    jaxlab_command("train", config, "--folds", 5, "--run", tmp_path / "one", *flags)
    jaxlab_command("train", tmp_path / "folds.py", "--run", tmp_path / "two", *flags)
    one, two = (Predictions.load(tmp_path / run / "predictions/out_of_fold.npz") for run in ("one", "two"))
    assert one.ids.tolist() == two.ids.tolist()
    assert len(one) == 2 * 8, "of each fold's samples no more than the limit"
    np.testing.assert_array_equal(one.values, two.values)
    assert (tmp_path / "two/config.py").read_text() == wrapped


@pytest.mark.slow
def test_only_splits_that_are_there_are_predicted(folded, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    said = jaxlab_command("predict", run, "--split", "validation")
    assert f"{run / 'predictions/validation.npz'}: 9 images x 5 targets" in said
    kept = Predictions.load(run / "predictions/validation.npz")
    best = saved(run / "checkpoints")[-1].meta()["progress"]["best"]
    assert kept.provenance["step"] == best["step"]
    assert kept.provenance["scores"]["validation"]["pearson"] == best["value"]
    assert f"{run / 'predictions/test.npz'}: " in jaxlab_command("predict", run), "kept there without --out"
    assert Predictions.load(run / "predictions/test.npz").split == "test"
    refused = {
        (run, "out_of_fold"): "expected the test or validation split, found 'out_of_fold'",
        (folded, "validation"): "expected the test or out_of_fold split, found 'validation'",
    }
    for (path, split), words in refused.items():
        assert words in jaxlab_command("predict", path, "--split", split, code=1)


@pytest.mark.slow
def test_classes_keep_their_logits(tmp_path):
    data = Simulated(images=24, test_images=4, size=16, kind="classification", categories=3)
    small = Folds(experiment=Experiment(data=data, loss=CrossEntropy()), folds=2).smoke()
    api.train(small, tmp_path / "run", console=Console(file=io.StringIO()))
    kept = Predictions.load(tmp_path / "run/predictions/out_of_fold.npz")
    assert kept.kind == "logits"
    opened = data.open()
    label = opened.train.label[np.searchsorted(opened.train.ids, kept.ids)]
    right = kept.values.argmax(1) == label
    assert kept.provenance["scores"]["out_of_fold"]["accuracy"] == pytest.approx(right.mean())
    run = jaxlab.load(tmp_path / "run")
    whole, images = run.predict_split("test"), np.stack([opened.test.read(row) for row in range(4)])
    assert whole.kind == "probabilities"
    np.testing.assert_allclose(np.exp(run.predict(images)), whole.values, rtol=1e-5)


def test_a_fold_that_somebody_trains_alone_is_in_use(arrays_npz, tmp_path):
    fold = tmp_path / "run/fold0"
    with (
        locked(fold / "lock", fold),
        pytest.raises(UserError, match=r"run/fold0 is in use: process \d+ on"),
    ):
        folded_run(arrays_npz, tmp_path / "run")
    assert not fold.exists()
