"""The plan of an ablation: which parts are on, what switches them off, and what it refuses."""

import json

import pytest

from jaxlab.core.config import from_json, short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.data import Flip, Gestures, Oversample
from jaxlab.experiment import Ablation, Experiment, Folds, Seeds, Training
from jaxlab.experiment.ablation import ablated
from jaxlab.experiment.parts import parts_on
from jaxlab.experiment.study import innermost
from jaxlab.experiment.switched import switched
from jaxlab.experiment.trial import trial
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy, Mse, NegativePearson, Ramp, Spread, WeightedSum
from jaxlab.optim import SGD, AdamW, Constant, Cosine

RAMP = Ramp(start=1.0, end=0.1, epochs=20)
FULL = Experiment(
    data=Gestures(),
    balance=Oversample(),
    augment=(Flip(),),
    head=Linear(dropout=0.5),
    loss=CrossEntropy(label_smoothing=0.1),
    optimizer=SGD(l2=1e-4, sam=0.05, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=2, ema=0.9),
)


def test_each_part_that_is_on_is_found_and_switched_off():
    parts = parts_on(FULL)
    assert list(parts) == [
        *("augment", "balance", "ema", "sam", "clip", "decay", "dropout", "label_smoothing", "schedule")
    ]
    without = {part: switched(FULL, settings) for part, settings in parts.items()}
    assert without["augment"].augment == ()
    assert without["balance"].balance is None
    assert without["schedule"].optimizer.schedule == Constant()
    assert (without["decay"].optimizer.l2, without["sam"].optimizer.sam) == (0, None)
    assert (without["dropout"].head.dropout, without["label_smoothing"].loss.label_smoothing) == (0, 0)
    bare = FULL
    for settings in parts.values():
        bare = switched(bare, settings)
    assert parts_on(bare) == {}


def test_further_terms_of_a_loss_are_parts():
    loss = WeightedSum(losses=(Mse(), Spread(), NegativePearson()), weights=(1.0, RAMP, 0.2))
    one = Experiment(loss=loss, optimizer=AdamW(weight_decay=0.0))
    parts = parts_on(one)
    assert list(parts) == ["spread", "negativepearson"]
    assert switched(one, parts["spread"]).loss.weights == (1.0, 0.0, 0.2)
    assert switched(one, parts["negativepearson"]).loss.weights == (1.0, RAMP, 0.0)
    plain = Experiment(loss=WeightedSum(losses=(Mse(), Spread())))
    assert switched(plain, parts_on(plain)["spread"]).loss.weights == (1.0, 0.0)


def test_variants_are_seeds_of_the_whole_and_without_each():
    study = Ablation(experiment=Folds(experiment=FULL, folds=2), off={"flip": ("augment=()",)}, seeds=3)
    whole, without = study.variants().values()
    assert list(study.variants()) == ["whole", "without-flip"]
    assert whole == Seeds(experiment=study.experiment, seeds=3)
    assert innermost(without).augment == ()
    assert without.experiment.folds == 2
    assert study.title(1) == "without-flip (2 of 2)"
    assert from_json(json.loads(json.dumps(to_json(study)))) == study
    found = Ablation(experiment=FULL)
    assert list(found.off) == list(parts_on(FULL)), "they are written down, so that they stay"
    assert short_hash(found) == short_hash(Ablation(experiment=FULL, seeds=9))


def test_parts_of_the_command_line():
    study = ablated(
        FULL, ["augment=()", "optimizer.sam=none", "a:optimizer.l2=0.0", "a:training.ema=none"], None
    )
    assert study.off == {
        "augment": ("augment=()",),
        "sam": ("optimizer.sam=none",),
        "a": ("optimizer.l2=0.0", "training.ema=none"),
    }
    assert study.seeds == 5
    assert ablated(study, [], 2).off == study.off
    assert ablated(Seeds(experiment=FULL, seeds=7), ["augment=()"], None).seeds == 7


def test_a_trial_has_one_part_that_its_data_know():
    small = trial(Ablation(experiment=FULL, seeds=4), lambda line: None)
    assert (small.seeds, list(small.off)) == (1, ["augment"])
    assert Ablation(experiment=FULL).smoke().experiment.training.steps == 2


@pytest.mark.parametrize(
    ("off", "says"),
    [
        (
            "augmnt=()",
            r"Ablation.off, 'augmnt': augmnt=\(\): Experiment has no field 'augmnt'; nearest: augment",
        ),
        ("mix=none", "Ablation.off, 'mix': mix=none changes nothing: it is off"),
        ("augment", r"--off augment: expected FIELD=VALUE, as augment=\(\)"),
        ("type:augment=()", "expected names of letters and digits, not whole or type, found 'type'"),
        ("optimizer.schedule=Constnt()", "there is no part 'Constnt'; nearest: Constant"),
        (
            "optimizer.schedule=Constant(3)",
            r"Constant: expected its fields by name, as Constant\(field=value\)",
        ),
        ("optimizer.schedule=Constant(a=1)", "Constant has no field 'a'"),
        ("optimizer.schdule=Constant()", "there is no 'schdule' in SGD; nearest: schedule"),
        ("optimizer.schedule=open('x')", "there is no part 'open'"),
        ("loss=WeightedSum()", r"loss=WeightedSum\(\): WeightedSum missing 1 required .*'losses'"),
        ("optimizer.schedule=Constant(warmup_epochs={[]: 1})", "numbers, words in quotes and parts, found"),
        ("optimizer.schedule=Constant(warmup_epochs=x)", "numbers, words in quotes and parts, found 'x'"),
        ("optimizer.schedule=Flip()", "SGD.schedule: expected Schedule, found Flip"),
        ("whole:augment=()", "names of letters and digits, not whole or type, found 'whole'"),
        ("split.validation=0.5", "leave the scored samples as they are, found split.validation"),
        ("seed=7", "'seed': expected the seeds of the whole, found others"),
    ],
)
def test_what_cannot_be_switched_off_is_refused(off, says):
    with pytest.raises(UserError, match=says):
        ablated(FULL, [off], 2)


def test_a_part_is_switched_off_once():
    with pytest.raises(UserError, match="expected parts that differ, found 'l2' and 'decay' the same"):
        ablated(FULL, ("optimizer.l2=0.0", "decay:optimizer.l2=0.0"), 2)


def test_an_experiment_without_parts_is_refused():
    with pytest.raises(UserError, match="nothing that can be switched off is on; name what is"):
        Ablation(experiment=Experiment(optimizer=AdamW(weight_decay=0.0)))
