"""Learning a few batches by heart: the experiment, what is judged, how a course is told, and what is printed."""

import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import tiny
from tiny_config import __file__ as TINY

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.bars import bars
from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import Samples, UserError
from jaxlab.data import Flip, Images
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Folds, Training
from jaxlab.experiment.overfit import is_overfitting, overfitting
from jaxlab.experiment.sides import positions_of
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.optim import SGD, Constant, Step
from jaxlab.runs import api
from jaxlab.runs.overfit import overfit
from jaxlab.runs.overfit.advice import _of_data as tries_of_data
from jaxlab.runs.overfit.advice import behaviour
from jaxlab.runs.overfit.overfit import Learned, loss_of
from jaxlab.runs.overfit.shown import counts_of, standardised
from jaxlab.training.rundir import RunDirectory

RNG = np.random.default_rng(2)


def test_what_keeps_from_learning_by_heart_is_off(arrays_npz):
    whole = tiny(
        arrays_npz, optimizer=SGD(l2=0.1, clip_norm=1.0, sam=0.1, schedule=Step(epochs=3, warmup_epochs=1))
    )
    found = overfitting(Folds(experiment=whole), batches=2, epochs=7)
    assert (found.augment, found.training.ema, found.model.dropout, found.head.dropout) == ((), None, 0, 0)
    assert found.optimizer == SGD(clip_norm=1.0, schedule=Constant(warmup_epochs=1))
    assert (found.limit, found.training.epochs, found.training.metric) == (16, 7, "loss")
    learn, validate = positions_of(found, found.data.open())
    assert len(learn) == 16
    assert learn.tolist() == validate.tolist()
    assert set(learn) <= set(whole.split.split(whole.data.open().train)[0])
    again = from_json(json.loads(json.dumps(to_json(found))))
    assert again == found
    assert is_overfitting(again)
    assert not is_overfitting(whole)


def test_samples_of_no_class_are_left_out():
    labels = np.array([0, 1, -1] * 10, np.int32)
    samples = Samples(ids=np.arange(30).astype(str), read=None, checksum=None, label=labels)
    elsewhere = Experiment(training=Training(epochs=1, validate="elsewhere"))
    assert overfitting(elsewhere, 1, 1).training.validate == "here", "it is judged by its validation"
    learn, _ = overfitting(Experiment(loss=CrossEntropy()), 1, 1).split.split(samples)
    assert (labels[learn] >= 0).all()
    assert len(learn) > 10


def test_the_loss_of_numbers_is_in_variances_of_each_target():
    truth = RNG.normal([5.0, 0.0, 1234.567], [100.0, 0.01, 0.0], (12, 3)).astype(np.float32)
    values = truth + RNG.normal(0, [50.0, 0.002, 1.0], (12, 3)).astype(np.float32)
    each = [np.mean((values[:, k] - truth[:, k]) ** 2) / np.var(truth[:, k]) for k in (0, 1)]
    assert loss_of(values, truth) == pytest.approx(np.mean(each), rel=1e-4), "the constant one says nothing"
    assert loss_of(values * 1000, truth * 1000) == pytest.approx(np.mean(each), rel=1e-4)
    assert math.isnan(loss_of(values[:, 2:], truth[:, 2:]))
    shown = Learned(SimpleNamespace(), values, truth, 0.0)
    predicted, true = standardised(shown)
    assert len(predicted) == len(true) == 24, "nor has it a place in the picture"
    assert true.std() == pytest.approx(1, rel=1e-3)
    assert next(tries_of_data({"a": shown})) == "a: 1 of 3 targets constant here: leave such out"
    assert math.isnan(loss_of(np.full_like(values, math.nan), truth)), "what is undefined is not known"
    gap = np.vstack([truth, [math.nan] * 3]).astype(np.float32)
    assert loss_of(np.vstack([values, values[:1]]), gap) == pytest.approx(np.mean(each), rel=1e-4)


def test_the_loss_of_classes_is_cross_entropy():
    logits, truth = RNG.normal(0, 3, (9, 4)).astype(np.float32), RNG.integers(0, 4, 9).astype(np.int32)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert loss_of(logits, truth) == pytest.approx(-np.log(shares[np.arange(9), truth]).mean(), rel=1e-5)
    labelled = np.arange(9) % 2 == 0
    some = np.where(labelled, truth, -1)
    known = -np.log(shares[np.arange(9), truth])[labelled]
    assert loss_of(logits, some) == pytest.approx(known.mean(), rel=1e-5), "what has no class has no part"
    shown = counts_of(Learned(SimpleNamespace(targets=list("abcd")), logits, some, 0.0))
    assert [side.sum() for side in shown] == [5, 5]
    assert math.isnan(loss_of(logits, np.full(9, -1)))


STEPS = np.arange(100)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (np.exp(-STEPS / 50), "falls"),
        (1 + 0.01 * np.sin(STEPS), "flat"),
        (1 + STEPS / 50, "rises"),
        (0.5 + 0.4 * (-1.0) ** STEPS * (STEPS > 30), "swings"),
        ([*STEPS, math.inf], "broke off"),
        ([1.0, 0.9], "falls"),
    ],
)
def test_a_course_is_told_by_its_losses(losses, expected):
    assert behaviour(list(losses)) == expected


def test_bars_are_as_high_as_their_numbers():
    assert bars([0, 1, 4, 8], top=8) == " ▁▄█"
    assert bars([0, 1e-9, 1, math.nan]) == " ▁█·"
    assert bars([0, 0]) == "  "


@pytest.fixture
def copied(monkeypatch, trained):
    """Training that copies a run; where a list of it is given, its last loss is none."""
    broken: list[str] = []

    def train(experiment, run, **_):
        shutil.copytree(trained, run)
        kept = replace(tiny("x"), data=experiment.data, split=experiment.split, limit=experiment.limit)
        RunDirectory(run).create(to_json(kept), None, RunDirectory(trained).info())
        if broken:
            with (run / "metrics.jsonl").open("a") as file:
                file.write('{"step": 13, "epoch": 4, "split": "step", "loss": null, "gradient_norm": null}\n')
            raise UserError("the loss is nan")

    monkeypatch.setattr(api, "train", train)
    return broken


def command(arrays_npz, path, *more, code):
    arguments = ["overfit", TINY, "--run", path, "--set", f"data.root={arrays_npz}", *more]
    result = CliRunner().invoke(main, list(map(str, arguments)), env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_it_passes_or_fails_and_shows_why(copied, arrays_npz, tmp_path):
    path = tmp_path / "run"
    said = command(arrays_npz, path, code=1)
    assert said.startswith("FAIL\n")
    assert "try, in this order:\n  1. " in said
    run = jaxlab.load(path)
    (part, _) = run.labelled("best")
    truth = np.load(arrays_npz)["targets"][part.rows]
    loss = (np.mean((part.values - truth) ** 2, 0) / truth.var(0)).mean()
    assert f"activity: squared error, in variances of each target: {loss:.4g} >= 0.1, of 16 samples" in said
    drawn = [
        line for line in said.splitlines() if line.lstrip().startswith(("predictions", "targets", "loss "))
    ]
    assert len(drawn) == 3
    assert max(map(len, drawn)) <= 80
    assert (path / "plots/overfit.png").is_file()
    assert command(arrays_npz, path, "--below", "99", code=0).startswith("PASS\n"), "made anew"


def test_a_loss_that_breaks_off_fails_with_what_to_try(copied, arrays_npz, tmp_path):
    copied.append("yes")
    said = command(arrays_npz, tmp_path / "run", code=1)
    assert "the loss is nan" in said
    assert "1. the loss broke off: the rate is too high. --set optimizer.lr=0.001" in said


def test_what_cannot_be_overfitted_is_refused(arrays_npz, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already, and is no earlier run of overfit"):
        overfit(tiny(arrays_npz), tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").is_file()
    ridge = Ridge(encoders=(ImageEncoder(model=LeNet5(grid=1), images=Images(size=(32, 32))),))
    with pytest.raises(
        UserError, match=r"or a study of one, found Ridge\(\.\.\.\), which is not trained in epochs"
    ):
        overfit(ridge)
    with pytest.raises(UserError, match="overfit: batches: expected 1 or more, found 0"):
        overfit(Experiment(augment=(Flip(),)), batches=0)
    with pytest.raises(UserError, match="overfit: below: expected more than 0, found nan"):
        overfit(Experiment(), below=math.nan)
