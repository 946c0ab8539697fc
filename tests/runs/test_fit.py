"""Going on with a run: what counts as a change, and what a run directory holds."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from tiny import tiny, trained_run

import jaxlab
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.data.pipeline import evaluation_batches
from jaxlab.data.sources.arrays import Arrays
from jaxlab.experiment import Experiment
from jaxlab.experiment.sides import positions_of
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.objectives import Regression
from jaxlab.optim import SGD, AdamW, Plateau
from jaxlab.runs import api
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to go on with."""
    return shutil.copytree(trained, tmp_path / "run")


def told(experiment, run, **options) -> str:
    out = io.StringIO()
    api.train(experiment, run, console=Console(file=out, width=80), **options)
    return out.getvalue()


@pytest.mark.slow
def test_a_run_directory_holds_what_made_it(trained):
    info = json.loads((trained / "run.json").read_text())
    assert info["schema"] == json.loads((trained / "config.json").read_text())["schema"] == 1
    assert info["devices"] == {"platform": "cpu", "used": 4, "cores": info["devices"]["cores"]}
    assert len(info["data"]["fingerprint"]) == 64
    assert info["versions"]["jax"]
    steps = journal.read(trained / "metrics.jsonl", "step")
    assert [r["step"] for r in steps] == list(range(1, 13))
    assert steps[0].keys() == {"step", "epoch", "split", "loss", "learning_rate", "gradient_norm"}
    for split in ("train", "validation"):
        records = journal.read(trained / "metrics.jsonl", split)
        assert [(r["step"], r["epoch"]) for r in records] == [(4, 1), (8, 2), (12, 3)]
        assert {"loss", "pearson", "explained_variance", "mse"} <= records[0].keys()
    kept = [c.step for c in saved(trained / "checkpoints")]
    best = max(journal.read(trained / "metrics.jsonl", "validation"), key=lambda r: r["pearson"])["step"]
    assert kept == sorted({best, 9, 12})  # 9 was the one before the last
    assert (trained / "plots" / "curves.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_rates_recorded_are_the_schedules(trained):
    """Cosine over the 10 updates that 2 of warm-up leave of 12; base rate 0.01."""
    rates = [r["learning_rate"] for r in journal.read(trained / "metrics.jsonl", "step")]
    expected = [0.005, 0.01, *(0.005 * (1 + np.cos(np.pi * k / 10)) for k in range(10))]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_validation_is_of_the_averaged_parameters_and_recomputed_the_same(trained):
    """The records agree with `evaluate`, and with a mean of squares of `predict`'s outputs in numpy."""
    loaded = jaxlab.load(trained)
    arrays = loaded.checkpoint("last").arrays()
    assert any(not np.allclose(arrays["ema"][k], leaf) for k, leaf in arrays["params"].items())
    recorded = journal.read(trained / "metrics.jsonl", "validation")[-1]
    scores = loaded.evaluate("last")["validation"]
    assert {name: recorded[name] for name in scores} == pytest.approx(scores, rel=1e-6)
    predicted = loaded.predict_split("validation", "last")
    rows = {name: k for k, name in enumerate(loaded.opened.train.ids)}
    truth = loaded.opened.train.target[[rows[name] for name in predicted.ids]]
    assert np.mean((predicted.values.astype(np.float64) - truth) ** 2) == pytest.approx(
        scores["mse"], rel=1e-5
    )


@pytest.mark.slow
def test_a_changed_field_is_named_and_refused_and_may_be_allowed(arrays_npz, run):
    changed = tiny(arrays_npz, "training.epochs=4", "optimizer.lr=0.02")
    with pytest.raises(UserError) as refused:
        told(changed, run)
    text = str(refused.value)
    assert "training.epochs: 3.0 -> 4.0" in text
    assert "optimizer.lr: 0.01 -> 0.02" in text
    assert "--allow-config-change" in text
    assert saved(run / "checkpoints")[-1].step == 12
    out = told(changed, run, allow_config_change=True)
    assert "changed: optimizer.lr: 0.01 -> 0.02" in out
    assert saved(run / "checkpoints")[-1].step == 16
    assert "all 16 steps are done" in told(changed, run)  # it is now the run's config


@pytest.mark.slow
def test_data_that_moved_are_the_same_and_data_that_changed_are_not(arrays_npz, run, tmp_path):
    moved = shutil.copy(arrays_npz, tmp_path / "elsewhere.npz")
    assert "all 12 steps are done" in told(tiny(moved), run)
    arrays = dict(np.load(arrays_npz))
    for name in ("images", "targets"):
        other = {key: values.copy() for key, values in arrays.items()}
        other[name][3] += 1
        np.savez(tmp_path / f"{name}.npz", **other)
        with pytest.raises(UserError, match=r"the data's fingerprint: \w{12} -> \w{12}"):
            told(tiny(tmp_path / f"{name}.npz"), run)


@pytest.mark.slow
def test_another_model_under_allow_config_change_names_the_leaves(arrays_npz, run):
    wider = tiny(arrays_npz, "model.channels=(5, 6)")
    with pytest.raises(UserError) as refused:
        told(wider, run, allow_config_change=True)
    assert "does not fit this experiment's model" in str(refused.value)
    assert "params.backbone.levels.0.conv.kernel is (3, 3, 3, 4), the model's (3, 3, 3, 5)" in str(
        refused.value
    )
    assert "all 12 steps are done" in told(tiny(arrays_npz), run)  # it is still the old config's run


@pytest.mark.slow
def test_an_early_stop_stays_one(arrays_npz, tmp_path):
    """The rate is so small that no float32 score gets better, so that the second epoch is the last."""
    parts = {
        "optimizer": SGD(lr=1e-30),
        "model": ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), norm="layer"),
    }
    settings = (
        "training.early_stopping=1", "training.epochs=9", "training.ema=none",
        "training.metric=loss",  # of predictions that are constant no correlation is defined
    )  # fmt: skip
    experiment = tiny(arrays_npz, *settings, **parts)
    assert "early stop: 1 epochs without a better loss" in told(experiment, tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert "stopped early at step 8" in told(experiment, tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
def test_classification_without_batch_norm_or_average_resumes_and_predicts(arrays_npz, tmp_path):
    """Checkpoint fields that are empty: batch statistics, constants, the average."""
    arrays = dict(np.load(arrays_npz))
    labels = (arrays.pop("targets")[:, 0] > 10).astype(int) + (np.arange(44) % 2)
    np.savez(tmp_path / "labels.npz", labels=labels, target_names=np.array(["a", "b", "c"]), **arrays)
    parts = {
        "model": ShallowCNN(channels=(4,), kernel_sizes=(3,), norm="none"), "head": Linear(),
        "loss": CrossEntropy(label_smoothing=0.1), "data": Arrays(),
    }  # fmt: skip
    settings = ("training.ema=none", "training.epochs=1", "training.checkpoint_steps=none")
    run = trained_run(tmp_path / "labels.npz", tmp_path / "run", *settings, **parts)
    longer = tiny(tmp_path / "labels.npz", *settings, "training.epochs=2", **parts)
    assert "going on from step 4" in told(longer, run, allow_config_change=True)
    predicted = jaxlab.load(run).predict_split("test")
    assert predicted.values.shape == (7, 3)
    assert journal.read(run / "metrics.jsonl", "validation")[-1]["accuracy"] == pytest.approx(
        jaxlab.load(run).evaluate("last")["validation"]["accuracy"]
    )


@pytest.mark.parametrize(
    ("settings", "parts", "words"),
    [
        (["training.metric=pearsno"], {}, "Training.metric: expected one of loss, pearson"),
        (["training.metric=constant_targets"], {}, "Training.metric: expected one of loss, pearson"),
        (
            ["training.early_stopping=2", "training.early_stopping_metric=peerson"],
            {},
            "Training.early_stopping_metric: expected one of loss, .*, spread_ratio, .*, found 'peerson'",
        ),
        (
            [],
            {"optimizer": AdamW(schedule=Plateau(metric="accuracy"))},
            "Plateau.metric: expected one of loss, pearson, .*, found 'accuracy'",
        ),
        ([], {"loss": CrossEntropy()}, r"loss=CrossEntropy\(\) is for classification"),
        (["training.accumulate=3"], {}, "accumulate=3 must divide batch_size=8"),
        (["training.batch_size=64"], {}, "batch size 64: expected between 1 and the 35 training samples"),
        (["head.layer=level9"], {}, "no layer 'level9'"),
        (["data.root=/nowhere.npz"], {}, "nothing at /nowhere.npz"),
    ],
)
def test_mistakes_are_told_before_anything_is_compiled(
    arrays_npz, tmp_path, monkeypatch, settings, parts, words
):
    monkeypatch.setattr("jaxlab.experiment.recipe.initial_parameters", lambda *_: pytest.fail("compiled"))
    with pytest.raises(UserError, match=words):
        told(tiny(arrays_npz, *settings, **parts), tmp_path / "run")


def test_seed_and_limit_have_ranges(arrays_npz):
    for setting, words in (
        ("seed=-1", "Experiment.seed"),
        ("limit=0", "Experiment.limit: expected 1 or more"),
    ):
        with pytest.raises(UserError, match=words):
            tiny(arrays_npz, setting)


def test_a_limit_takes_samples_evenly_spread_over_the_data(tmp_path):
    images, labels = np.zeros((40, 8, 8), np.uint8), np.repeat(["a", "b", "c", "d"], 10)
    np.savez(tmp_path / "sorted.npz", images=images, labels=labels)
    data = Arrays(root=str(tmp_path / "sorted.npz"))
    learn, validate = positions_of(Experiment(data=data, limit=8), data.open())
    assert len(learn) == 8
    assert len(validate) == 4  # all there are
    assert np.unique(labels[learn]).tolist() == ["a", "b", "c", "d"]
    assert (np.diff(learn) > 0).all()


def test_constants_standardise_and_leave_constant_targets_alone():
    target = np.random.default_rng(0).normal(3, 2, (50, 3)).astype(np.float32)
    target[:, 1] = 0.1  # its mean in float64 is rounded, so its standard deviation is not zero
    numbers = Regression("activity", "activity", Linear(), Mse(), ("a", "b", "c"))
    found = numbers.constants(target, standardize=True)
    np.testing.assert_allclose(found["target_mean"], target.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(found["target_scale"], [target[:, 0].std(), 1, target[:, 2].std()], rtol=1e-5)
    plain = numbers.constants(target, standardize=False)
    np.testing.assert_array_equal(plain["target_mean"], np.zeros(3))
    np.testing.assert_array_equal(plain["target_scale"], np.ones(3))
    assert replace(numbers, prefix="a.").constants(target, True).keys() == {"a.target_mean", "a.target_scale"}


def test_padding_is_masked(arrays_npz):
    images = np.load(arrays_npz)["images"][:9]
    first, second = evaluation_batches(images, {}, 8)
    assert first["mask"].all()
    assert second["mask"].tolist() == [True] + 7 * [False]


def test_a_run_without_a_checkpoint_starts_from_the_pretrained_weights_again(
    arrays_npz, tmp_path, monkeypatch
):
    """As after a kill in the first epoch: the directory is there, its network is not."""

    class Loaded(Exception):
        pass

    def load(*_):
        raise Loaded

    monkeypatch.setattr("jaxlab.runs.network.weights.load_weights", load)
    experiment = tiny(arrays_npz, model=ResNet(depth=18, pretrained="w.safetensors"), head=Linear())
    RunDirectory(tmp_path / "run").create(to_json(experiment), None, {"weights": None})
    with pytest.raises(Loaded):
        told(experiment, tmp_path / "run")
