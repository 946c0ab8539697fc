"""Objectives as values: which truth each has, what several come to together, the same on one device and on four."""

import io
import json
import tracemalloc
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from scipy.special import softmax
from tiny import steps, train

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.config import from_json, identity, override, short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.data import Images, RandomSplit, Simulated
from jaxlab.data.source import fingerprint
from jaxlab.experiment import Experiment, Objective, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.heads import Linear, Squashed
from jaxlab.losses import (
    About,
    BatchLoss,
    CrossEntropy,
    LogitAdjusted,
    Mse,
    NegativePearson,
    Ramp,
    Spread,
    WeightedSum,
)
from jaxlab.models import ShallowCNN
from jaxlab.objectives import Classification, Regression
from jaxlab.optim import SGD, AdamW, Plateau
from jaxlab.runs import api
from jaxlab.training import journal
from jaxlab.training.budget import Budget
from jaxlab.training.checkpoint import saved
from submit import Predictions

DATA = Simulated(images=60, test_images=7, neurons=3, size=16, categories=4, repeats=2)
OBJECT = Objective(head=Linear(layer="level2", dropout=0.1), loss=CrossEntropy(), of="category", weight=0.3)
ACTIVITY = Objective(head=Linear(layer="level2", dropout=0.1))


def experiment(**parts) -> Experiment:
    fields = {
        "data": DATA,
        "images": Images(size=(16, 16)),
        "split": RandomSplit(validation=0.2),
        "model": ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), dropout=0.1),
        "objectives": {"activity": ACTIVITY, "object": OBJECT},
        "optimizer": AdamW(lr=1e-2),
        "training": Training(epochs=2, batch_size=8, checkpoint_steps=4),
    }
    return Experiment(**{**fields, **parts})


@dataclass(frozen=True, kw_only=True)
class OneMinusPearson(BatchLoss):
    """1 - r over the batch, averaged over targets: no row has a loss of its own."""

    kind = "regression"

    def of_batch(self, outputs, truth, total):
        count = total(jnp.ones(len(outputs)))
        x, y = (side - (total(side) / count)[None] for side in (outputs, truth))
        r = total(x * y) / jnp.sqrt(total(x * x) * total(y * y) + 1e-6)
        return (1 - r).mean()


# -- configs


def test_an_experiment_without_objectives_is_what_it_was():
    """Its JSON has no such field, so that runs of before keep their names and go on."""
    plain = Experiment()
    assert "objectives" not in to_json(plain)
    assert short_hash(plain) == "d583d306", "as jaxlab 0.1 has it"
    assert list(plain.goals) == ["activity"]
    assert list(Experiment(loss=CrossEntropy()).goals) == ["label"]


def test_objectives_survive_json_and_are_overridden_by_name():
    whole = experiment()
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole
    changed = override(whole, ["objectives.object.weight=0.5", "objectives.object.loss.label_smoothing=0.1"])
    assert changed.objectives["object"].weight == 0.5
    assert changed.objectives["activity"] == ACTIVITY
    with pytest.raises(
        UserError, match=r"--set objectives\.objct\.weight=1\.0: there is no 'objct'; there are act"
    ):
        override(whole, ["objectives.objct.weight=1.0"])
    with pytest.raises(UserError, match=r"a part is chosen in the config file"):
        override(whole, ["objectives.object=None"])


def test_the_order_of_objectives_is_part_of_an_experiment(tmp_path):
    """The first one picks the best checkpoint, so that another order is another experiment."""
    from jaxlab.core.config import differences

    other = experiment(objectives={"object": OBJECT, "activity": ACTIVITY})
    assert differences(identity(experiment()), identity(other)) == [
        "objectives: order activity, object -> object, activity"
    ]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"head": Linear(layer="level1")}, "expected head and loss, or objectives, found both"),
        ({"objectives": {"2nd": ACTIVITY}}, r"expected names of letters and digits, found \['2nd'\]"),
        ({"objectives": {"a": ACTIVITY, "type": ACTIVITY}}, r"expected another name than 'type'; call it"),
    ],
)
def test_what_cannot_be_is_refused(parts, words):
    with pytest.raises(UserError, match=words):
        experiment(**parts)


def test_an_objective_checks_itself():
    with pytest.raises(UserError, match=r"Objective\.weight: expected more than 0, found 0\.0"):
        Objective(weight=0.0)
    with pytest.raises(UserError, match=r"Squashed\(\) is for numbers, but the loss is for classification"):
        Objective(head=Squashed(head=Linear()), loss=CrossEntropy())


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (
            replace(OBJECT, of="categories"),
            r"'object': the data \(Simulated\) have no column 'categories'; .*category",
        ),
        (replace(OBJECT, of="activity"), r"of='activity' does not go with loss=CrossEntropy\(\)"),
        (
            replace(OBJECT, of=None),
            r"loss=CrossEntropy\(\) is for classification, but the data \(Simulated\)",
        ),
        (Objective(of="category"), r"column 'category': expected numbers \(could not convert"),
    ],
)
def test_a_truth_that_is_not_there_is_named(objective, words):
    with pytest.raises(UserError, match=words):
        resolve(experiment(objectives={"activity": ACTIVITY, "object": objective}), DATA.open())


def test_metrics_of_objectives_are_named_by_both():
    with pytest.raises(
        UserError, match=r"expected one of loss, pearson, .*object/accuracy.*, found 'accuracy'"
    ):
        resolve(override(experiment(), ["training.metric=accuracy"]), DATA.open())
    recipe = resolve(override(experiment(), ["training.metric=object/accuracy"]), DATA.open())
    assert recipe.metric == "object/accuracy"
    assert resolve(experiment(), DATA.open()).metric == "pearson"


def test_each_may_wait_for_another_score():
    watching = experiment(
        training=Training(steps=2, early_stopping=3, early_stopping_metric="object/loss", batch_size=8),
        optimizer=AdamW(schedule=Plateau(metric="activity/spread_ratio")),
    )
    plan = resolve(watching, DATA.open()).plan
    assert plan.watched == ("pearson", "object/loss", "activity/spread_ratio")
    assert from_json(to_json(watching)) == watching


def test_early_stopping_that_is_not_asked_for_watches_nothing():
    with pytest.raises(UserError, match=r"early_stopping_metric: 'loss' is watched by early stopping alone"):
        Training(steps=1, early_stopping_metric="loss")
    assert "early_stopping_metric" not in to_json(Training(steps=1))
    assert "metric" not in to_json(Plateau())


# -- what they come to


def test_each_has_its_own_truth_and_place():
    opened = DATA.open()
    recipe = resolve(experiment(), opened)
    activity, label = recipe.task.objectives
    assert (activity.targets, label.targets) == (opened.targets, tuple(f"category{k}" for k in range(4)))
    np.testing.assert_array_equal(activity.truth(opened.train), opened.train.target)
    names = np.array(label.targets)[label.truth(opened.train)]
    np.testing.assert_array_equal(names, opened.train.columns["category"])
    outputs = np.arange(14.0).reshape(2, 7)
    np.testing.assert_array_equal(activity.own(outputs), outputs[:, :3])
    np.testing.assert_array_equal(label.own(outputs), outputs[:, 3:])
    assert recipe.shapes[1]["head"]["objectives"]["object"]["bias"].shape == (4,)


def test_a_column_of_numbers_is_a_truth():
    opened = DATA.open()
    weight = np.linspace(5, 9, len(opened.train)).astype(str)
    opened = replace(opened, train=replace(opened.train, columns={"weight": weight}))
    recipe = resolve(experiment(objectives={"weight": Objective(of="weight")}), opened)
    (one,) = recipe.task.objectives
    assert one.targets == ("weight",)
    np.testing.assert_allclose(one.truth(opened.train)[:, 0], weight.astype(float), rtol=1e-6)


def test_columns_that_are_learned_from_are_part_of_the_datas_fingerprint():
    opened = DATA.open()
    changed = replace(
        opened, train=replace(opened.train, columns={"category": opened.train.columns["category"][::-1]})
    )
    assert experiment().fingerprint(opened) != experiment().fingerprint(changed)
    plain = experiment(objectives={"activity": ACTIVITY})
    assert plain.fingerprint(opened) == plain.fingerprint(changed)


def test_a_column_called_as_the_datas_own_truth_changes_no_fingerprint():
    """Data sets have a column "label" beside their labels: runs of before, which did not look at it, go on."""
    data = Simulated(images=8, test_images=1, size=16, kind="classification")
    opened = data.open()
    named = replace(opened, train=replace(opened.train, columns={"label": opened.train.columns["category"]}))
    assert Experiment(data=data, loss=CrossEntropy()).fingerprint(named) == fingerprint(opened)


def test_a_class_without_a_name_is_refused():
    opened = DATA.open()
    cells = opened.train.columns["category"].copy()
    cells[3] = " "
    empty = replace(opened, train=replace(opened.train, columns={"category": cells}))
    with pytest.raises(
        UserError, match=r"objective 'object': column 'category': 1 cells are empty \(rows 3\)"
    ):
        resolve(experiment(), empty)


def test_a_column_has_no_share_in_the_datas_ceiling():
    """It is of other targets, and of as many as the data have."""
    opened = DATA.open()
    weight = np.linspace(5, 9, len(opened.train)).astype(str)
    opened = replace(opened, train=replace(opened.train, columns={"weight": weight}))
    both = {"activity": ACTIVITY, "weight": Objective(of="weight")}
    activity, column = resolve(experiment(objectives=both), opened).task.objectives
    np.testing.assert_array_equal(activity.ceiling(opened), opened.ceiling)
    assert column.ceiling(opened) is None


def test_an_epochs_scores_are_those_of_both_and_the_weighted_loss():
    recipe = resolve(experiment(), DATA.open())
    program = recipe.program
    rng = np.random.default_rng(0)
    outputs = jnp.asarray(rng.normal(size=(8, 7)), jnp.float32)
    truth = {
        "activity": rng.normal(size=(8, 3)).astype(np.float32),
        "object": np.arange(8, dtype=np.int32) % 4,
    }
    constants = {
        "activity.target_mean": np.ones(3, np.float32),
        "activity.target_scale": np.full(3, 2, np.float32),
    }
    batch = {"truth": truth}
    losses = program.losses(outputs, batch, constants, None)
    scores = program.scores(program.add(program.start(), outputs, losses, batch, constants, None))
    mse = np.square(outputs[:, :3] - (truth["activity"] - 1) / 2).mean()
    entropy = -jax.nn.log_softmax(outputs[:, 3:])[np.arange(8), truth["object"]].mean()
    assert scores["loss"] == pytest.approx(float(mse + 0.3 * entropy), rel=1e-5)
    assert scores["activity/loss"] == pytest.approx(float(mse), rel=1e-5)
    assert scores["object/loss"] == pytest.approx(float(entropy), rel=1e-5)
    assert scores["pearson"] == scores["activity/pearson"]
    assert scores["object/accuracy"] == float((outputs[:, 3:].argmax(1) == truth["object"]).mean())


# -- training


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A run with two objectives, trained to its end; read it, never write to it."""
    return train(experiment(), tmp_path_factory.mktemp("both") / "run")


@pytest.mark.slow
def test_details_are_of_the_objective_asked_for(both):
    result = CliRunner().invoke(main, ["evaluate", str(both), "--objective", "object", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (step,) = (scores for name, scores in found.items() if name != "details")
    details = found["details"]["validation"]
    for name in ("accuracy", "f1_macro"):
        assert details[name] == pytest.approx(step["validation"][f"object/{name}"])
    assert (
        np.sum(details["confusion"])
        == details["samples"]
        == sum(one["samples"] for one in details["by_class"])
    )


@pytest.mark.slow
def test_two_objectives_train_validate_predict_and_evaluate(both):
    records = journal.read(both / "metrics.jsonl", "validation")
    for record in records:
        parts = record["activity/loss"] + 0.3 * record["object/loss"]
        assert record["loss"] == pytest.approx(parts, rel=1e-5)
        assert {"pearson", "object/accuracy", "object/f1_macro"} <= record.keys()
    for record in journal.read(both / "metrics.jsonl", "train"):
        assert {"activity/gradient_norm", "object/gradient_norm"} <= record.keys()
        assert -1 <= record["activity/object/gradient_cosine"] <= 1
    for record in journal.read(both / "metrics.jsonl", "step"):
        assert record["loss"] == pytest.approx(
            record["activity/loss"] + 0.3 * record["object/loss"], rel=1e-5
        )
    run = jaxlab.load(both)
    made = run.keep("test")
    assert (made.kind, made.targets.tolist(), made.values.shape) == ("regression", list(run.targets), (7, 3))
    assert Predictions.load(both / "predictions/test.npz").ids.tolist() == made.ids.tolist()
    scores = run.evaluate("last")["validation"]
    last = {name: value for name, value in records[-1].items() if name in scores}
    assert last == pytest.approx(scores, rel=1e-5, abs=1e-6)


@pytest.mark.slow
def test_both_heads_learn_and_share_the_backbone(both):
    arrays = saved(both / "checkpoints")[-1].arrays(("params",))["params"]
    assert {"head.objectives.activity.bias", "head.objectives.object.bias"} <= arrays.keys()
    alone = train(experiment(objectives={"activity": ACTIVITY}), both.parent / "alone")
    other = saved(alone / "checkpoints")[-1].arrays(("params",))["params"]
    assert "head.bias" in other, "a sole objective's name is in no path"
    shared = [path for path in arrays if path.startswith("backbone.")]
    assert any(np.abs(arrays[path] - other[path]).max() > 1e-4 for path in shared)


@pytest.mark.slow
def test_two_objectives_go_on_where_they_stopped(both, tmp_path):
    stopped = tmp_path / "run"

    def clock() -> float:
        """Its time is over after five steps, in the middle of an epoch."""
        return 1e6 if len(journal.read(stopped / "metrics.jsonl", "step")) >= 5 else 0.0

    train(experiment(), stopped, stop_after=Budget(1e5, clock))
    assert 5 <= saved(stopped / "checkpoints")[-1].step < 12
    train(experiment(), stopped)
    mine, theirs = (saved(path / "checkpoints")[-1] for path in (stopped, both))
    assert mine.meta()["digest"] == theirs.meta()["digest"]
    assert journal.read(stopped / "metrics.jsonl") == journal.read(both / "metrics.jsonl")


@pytest.mark.slow
def test_another_order_is_another_run(both):
    other = experiment(objectives={"object": OBJECT, "activity": ACTIVITY})
    with pytest.raises(UserError, match="objectives: order activity, object -> object, activity"):
        api.train(other, both, console=Console(file=io.StringIO()))


@pytest.mark.slow
def test_commands_take_runs_of_two_objectives(both):
    for command in (["inspect", str(both)], ["evaluate", str(both), "--json"], ["predict", str(both)]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    shown = CliRunner().invoke(main, ["inspect", str(both)]).output
    assert "object: Linear, CrossEntropy of category, weight 0.3" in shown
    assert (both / "plots/curves.png").stat().st_size > 0
    result = CliRunner().invoke(main, ["evaluate", str(both), "--set", "inference.tta.shift=1", "--json"])
    assert "validation_tta" in result.output, result.output


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_a_loss_of_the_whole_batch_makes_the_same_update_however_it_is_split(accumulate):
    summed = WeightedSum(
        losses=(OneMinusPearson(), NegativePearson(), Spread()), weights=(0.5, Ramp(start=0.5, end=0.1), 0.2)
    )
    adjusted = WeightedSum(losses=(CrossEntropy(class_weight_strength=0.5), LogitAdjusted()))
    objectives = {"activity": replace(ACTIVITY, loss=summed), "object": replace(OBJECT, loss=adjusted)}
    whole = override(
        experiment(objectives=objectives, optimizer=SGD(lr=0.05)), [f"training.accumulate={accumulate}"]
    )
    layouts = ("single", "data", "pmap") if accumulate == 1 else ("single", "pmap")
    each = {parallel: override(whole, [f"training.parallel={parallel}"]) for parallel in layouts}
    found = {parallel: steps(one, 3) for parallel, one in each.items()}
    start, _ = steps(each["single"], 0)
    expected, reports = found.pop("single")
    assert any(np.abs(expected.params[path] - leaf).max() > 1e-3 for path, leaf in start.params.items())
    for state, mine in found.values():
        for path, leaf in expected.params.items():
            moved = np.abs(leaf - start.params[path]).max()
            if path == "head.objectives.activity.bias":
                assert moved < 1e-4  # a correlation knows no offset: its slope is rounding
                continue
            np.testing.assert_allclose(state.params[path], leaf, atol=2e-4 * moved + 2e-6, err_msg=path)
        for report, single in zip(mine, reports, strict=True):
            assert report == pytest.approx(single, rel=1e-4)


def test_a_loss_of_the_whole_batch_agrees_with_numpy():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 9, 2)).astype(np.float32)
    rows = OneMinusPearson().rows(jnp.asarray(x), jnp.asarray(y), About(lambda values: values.sum(0)))
    r = [np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(rows, np.full(9, 1 - np.mean(r)), rtol=1e-4)
    assert Mse().rows(jnp.asarray(x), jnp.asarray(y), About(None)).shape == (9,)


def test_the_mean_of_networks_takes_little_more_than_its_own_room():
    """Probabilities by scipy; a total in float64, a result and one member are four times the size of a member."""
    members = np.random.default_rng(0).normal(0, 3, (3, 5000, 40)).astype(np.float32)
    names = tuple(map(str, range(40)))
    parts = {"head": Linear(), "targets": names}
    of_classes = Classification(name="c", of="label", loss=CrossEntropy(), **parts)
    of_numbers = Regression(name="n", of="activity", loss=Mse(), **parts)
    expected = {
        "c": np.log(softmax(members.astype(float), axis=-1).mean(0)),
        "n": members.mean(0, dtype=float),
    }
    for one in (of_classes, of_numbers):
        tracemalloc.start()
        found = one.mean_of(member.copy() for member in members)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        np.testing.assert_allclose(found, expected[one.name], rtol=1e-5, atol=1e-6)
        assert found.dtype == np.float32
        assert most < 5 * members[0].nbytes
