"""What a search may be, and how a command line says so."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxlab.core.config import from_json, identity, short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.data import Images
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Choice, Experiment, Folds, Int, Log, Search, Seeds, Training, Uniform
from jaxlab.experiment.search import searching, within_search
from jaxlab.experiment.spaces import all_settings, grid_settings, grid_size, label
from jaxlab.losses import CrossEntropy, Mse, NegativePearson
from jaxlab.models import LeNet5, ResNet
from jaxlab.optim import Constant, Cosine

RESNET = Experiment(model=ResNet(depth=18))


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("optimizer.lr=log(1e-5,1e-2)", Log(1e-5, 1e-2)),
        ("optimizer.lr= LOG( 1e-5, 1e-2, 5 )", Log(1e-5, 1e-2, 5)),
        ("head.dropout=uniform(0,0.8)", Uniform(0.0, 0.8)),
        ("training.batch_size=int(1,8)", Int(1, 8)),
        ("model.depth=18,34", Choice(18, 34)),
        ("training.metric=none,pearson", Choice(None, "pearson")),
        ("training.standardize=true,false", Choice(True, False)),
        ("training.ema=none,0.9", Choice(None, 0.9)),
        ("images.size=(64,64),(96, 128)", Choice((64, 64), (96, 128))),
        ("model.depth=18", Choice(18)),
    ],
)
def test_a_space_as_the_command_line_has_it(over, expected):
    field = over.partition("=")[0]
    search = searching(RESNET, [over])
    assert search.space == {field: expected}
    assert [type(value) for value in search.space[field].ends()] == [type(value) for value in expected.ends()]
    kept = from_json(json.loads(json.dumps(to_json(search))))
    assert kept == search


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("optimizer.lt=log(1e-5,1e-2)", "--over optimizer.lt=log.*: AdamW has no field 'lt'; nearest: lr"),
        ("depth=18,34", "Experiment has no field 'depth'; nearest: model.depth"),
        ("optimizer.lr", "expected FIELD=SPACE, as optimizer.lr=log"),
        ("optimizer.lr=lgo(1e-5,1e-2)", "there is no space lgo.*nearest: log"),
        (
            "optimizer.lr=log(1e-5)",
            r"expected log\(low, high\), or log\(low, high, count\) of a grid, found log\(1e-5\)",
        ),
        ("optimizer.lr=log(a,b)", r"found log\(a,b\)"),
        ("optimizer.lr=log({[]:1},2)", r"found log\({\[\]:1},2\)"),
        ("optimizer.lr=log(0,1)", "--over .*: Log: expected low above 0, found 0"),
        ("optimizer.lr=log(1,1)", "expected low below high"),
        ("optimizer.lr=uniform(1,nan)", "expected"),
        ("optimizer.lr=1e-3,fast", "--over optimizer.lr=1e-3,fast: AdamW.lr: expected float, found 'fast'"),
        ("model.depth=18,19", "--over model.depth=18,19: ResNet.depth: expected"),
        ("head.dropout=uniform(0,1.5)", "Search.space: head.dropout=1.5: "),
        (
            "training.batch_size=uniform(1,8)",
            r"Search.space: training.batch_size=1.0: Training.batch_size: expected int.*; whole numbers are int",
        ),
        ("model.depth=18,18", "expected each value once, found 18 2 times"),
        (
            "split.seed=0,1",
            "Search.space: expected fields that leave the scored samples as they are, found split.seed",
        ),
        ("data.seed=0,1", "scores of other samples cannot be compared"),
        ("limit=10,20", "found limit"),
        ("optimizer.schedule=Cosine,Constant", "a part is chosen in the config file"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_read(over, message):
    with pytest.raises(UserError, match=message):
        searching(RESNET, [over])


def test_values_that_contradict_a_field_as_it_is_may_go_with_what_it_is_searched_among():
    base = Experiment(training=Training(epochs=3, ema=0.9))
    space = {"training.ema": Choice(None), "training.average_from": Choice(None, 0.5)}
    assert Search(experiment=base, space=space).variant({"training.ema": None, "training.average_from": 0.5})
    with pytest.raises(UserError, match=r"training.average_from=0.5: Training: expected ema or average_from"):
        Search(experiment=base, space={"training.average_from": Choice(None, 0.5)})


def test_a_grid_is_the_product_of_what_is_listed():
    space = {"a": Log(1e-4, 1e-1, 4), "b": Choice("x", "y"), "c": Int(1, 3), "d": Uniform(0.0, 1.0, 3)}
    found = [tuple(grid_settings(space, number).values()) for number in range(grid_size(space))]
    expected = [
        (a, b, c, d)
        for a in np.geomspace(1e-4, 1e-1, 4)
        for b in "xy"
        for c in (1, 2, 3)
        for d in (0.0, 0.5, 1.0)
    ]
    assert len(found) == 72
    for one, other in zip(found, expected, strict=True):
        assert one[1:] == other[1:]
        assert one[0] == pytest.approx(other[0], rel=1e-12)
    assert list(all_settings({"b": Choice("x", "y"), "c": Int(1, 2)})) == [
        ("x", 1),
        ("x", 2),
        ("y", 1),
        ("y", 2),
    ]
    assert [one for (one,) in all_settings({"c": Int(1, 5, 3)})] == [1, 2, 3, 4, 5], "a grid takes three"
    with pytest.raises(UserError, match=r"how many values of optimizer.lr: Log\(1e-05, 0.01, 5\)"):
        searching(RESNET, ["optimizer.lr=log(1e-5,1e-2)"], sampler="grid")


@pytest.mark.parametrize(
    ("over", "fields", "total"),
    [
        (["optimizer.lr=log(1e-5,1e-2)"], {}, 40),
        (["optimizer.lr=log(1e-5,1e-2)"], {"trials": 7}, 7),
        (["training.batch_size=int(1,900000)"], {"trials": 10**6}, 900_000),
        (["model.depth=18,34", "optimizer.lr=log(1e-5,1e-2,3)"], {"sampler": "grid"}, 6),
        (["model.depth=18,34", "optimizer.lr=log(1e-5,1e-2,3)"], {"sampler": "grid", "trials": 4}, 4),
        (["model.depth=18,34", "training.batch_size=int(1,8)"], {"trials": 90}, 16),
        (["model.depth=18,34", "optimizer.lr=log(1e-5,1e-2,3)"], {"trials": 90}, 90),
        (["training.batch_size=int(1,100,5)"], {"trials": 30}, 30),
        (["training.batch_size=int(1,100,5)"], {"sampler": "grid"}, 5),
    ],
)
def test_how_many_trials_there_are(over, fields, total):
    assert searching(RESNET, over, **fields).total == total


def test_what_stops_trials():
    pruned = {
        one: searching(RESNET, ["model.depth=18,34"], pruner=one).pruned_by
        for one in (None, "none", "median", "hyperband")
    }
    assert pruned == {None: "median", "none": None, "median": "median", "hyperband": "hyperband"}
    assert searching(RESNET, ["model.depth=18,34"], sampler="grid").pruned_by is None


def test_more_trials_are_no_other_config_and_a_storage_is_none_of_it():
    few, more = (searching(RESNET, ["model.depth=18,34"], trials=n, storage=f"sqlite:///{n}") for n in (1, 2))
    assert identity(few) == identity(more)
    assert short_hash(few) == short_hash(more)
    assert "storage" not in to_json(few)
    assert short_hash(few) != short_hash(searching(RESNET, ["model.depth=18,34"], seed=3))


def test_parts_of_an_experiment_are_chosen_in_a_config_and_named_by_what_they_are():
    choice = Choice(Cosine(), Cosine(warmup_epochs=2.0), Constant())
    search = Search(experiment=RESNET, space={"optimizer.schedule": choice})
    assert from_json(json.loads(json.dumps(to_json(search)))) == search
    assert [label(value) for value in choice.values] == [
        "Cosine()",
        "Cosine(warmup_epochs=2.0)",
        "Constant()",
    ]
    assert search.variant({"optimizer.schedule": Constant()}).optimizer.schedule == Constant()


def test_what_is_searched_for():
    lr = {"optimizer.lr": Log(1e-5, 1e-2)}
    assert Search(experiment=RESNET, space=lr).searched == "pearson"
    assert Search(experiment=Experiment(loss=CrossEntropy()), space=lr).searched == "accuracy"
    of_loss = RESNET.overridden(["training.metric=loss"])
    assert (
        Search(experiment=of_loss, space=lr).searched,
        Search(experiment=of_loss, space=lr).score.better,
    ) == (
        "loss",
        "lower",
    )
    assert Search(experiment=of_loss, space=lr, metric="mse").searched == "mse"
    ridge = Ridge(encoders=(ImageEncoder(model=LeNet5(grid=1), images=Images(size=(32, 32))),))
    assert Search(experiment=ridge, space={"split.folds": Choice(2, 3)}).searched == "pearson"
    with pytest.raises(UserError, match=r"Search.metric: there is no score 'parson'.*pearson"):
        Search(experiment=RESNET, space=lr, metric="parson")
    with pytest.raises(UserError, match="constant_targets tells nothing of quality"):
        Search(experiment=RESNET, space=lr, metric="constant_targets")
    with pytest.raises(UserError, match="expected a score of numbers, as pearson, found accuracy"):
        Search(experiment=ridge, space={"split.folds": Choice(2, 3)}, metric="accuracy")
    with pytest.raises(UserError, match="loss is another one in each trial, as loss is searched"):
        Search(experiment=RESNET, space={"loss": Choice(Mse(), NegativePearson())}, metric="loss")


def test_a_search_of_folds_and_seeds_varies_the_experiment_within():
    search = within_search(searching(RESNET, ["optimizer.lr=log(1e-5,1e-2)"]), 3, 2)
    assert isinstance(search.experiment, Seeds)
    assert isinstance(search.experiment.experiment, Folds)
    variant = search.variant({"optimizer.lr": 1e-3})
    assert variant.experiment.experiment.optimizer.lr == 1e-3
    assert (
        search.overridden(["training.batch_size=8"]).experiment.experiment.experiment.training.batch_size == 8
    )
    small = replace(search, storage="sqlite:///trials.db").smoke()
    assert (small.total, small.experiment.experiment.experiment.training.steps) == (2, 2)
    assert small.storage is None, "in a database a second one would find the trials of the first"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"trials": 0}, "Search.trials: expected 1 to 1,000,000, found 0"),
        ({"sampler": "tpr"}, "expected grid, random, tpe, nevergrad or nevergrad:NAME, found 'tpr'"),
        ({"seed": -1}, "Search.seed: expected 0 to"),
        ({"pruner": "mean"}, "Search.pruner: expected"),
        ({"experiment": Search()}, "found another Search"),
    ],
)
def test_what_a_search_cannot_be(fields, message):
    with pytest.raises(UserError, match=message):
        Search(**fields)
    with pytest.raises(UserError, match="sweep: expected what to search among"):
        searching(RESNET)
