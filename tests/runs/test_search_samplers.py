"""Which settings come next, and what stops a trial."""

import itertools

import nevergrad as ng
import numpy as np
import optuna
import pytest
from fake_search import SPACE, search, settings, worth

from jaxlab.core.types import UserError
from jaxlab.experiment import Choice, Experiment, Log, Search, Training
from jaxlab.runs.search import params, records
from jaxlab.runs.search.samplers import Sampler, pruner_of

OF_THIRTY = Experiment(training=Training(epochs=30))


def test_unpromising_trials_are_stopped_at_epochs_and_say_so(fake, tmp_path):
    """By hand: the median of the five before it at epoch 1, once these are complete."""
    said = search(tmp_path, trials=12, sampler="random", pruner="median")
    found = records.trials_in(tmp_path)
    values = {one.number: one.score for one in found}
    before: list[float] = []
    for one in found:
        stops = len(before) >= 5 and values[one.number] < np.median(before)
        assert one.state == ("stopped" if stops else "complete"), one
        assert (tmp_path / one.name / "epochs").read_text() == ("x" if stops else "xxxx")
        before += [] if stops else [values[one.number]]
    stopped = [one for one in found if one.state == "stopped"]
    assert stopped
    assert (
        f"trial {stopped[0].number:3d}  pearson {stopped[0].score:.4f}, stopped at epoch 1: its best pearson"
        in said
    )
    assert f"{len(stopped)} stopped" in said


def test_a_grid_takes_each_setting_once(fake, tmp_path):
    space = {"optimizer.lr": Log(1e-3, 1e-1, 3), "training.batch_size": Choice(4, 8)}
    search(tmp_path, trials=None, sampler="grid", space=space)
    found = [tuple(one.values()) for one in settings(tmp_path)]
    assert found == list(itertools.product([1e-3, pytest.approx(1e-2), 1e-1], [4, 8]))


def test_small_spaces_are_searched_whole_and_once(fake, tmp_path):
    space = {"training.batch_size": Choice(4, 8, 16), "training.standardize": Choice(True, False)}
    assert "6 of 6 trials complete" in search(tmp_path, trials=40, space=space, sampler="tpe")
    found = [tuple(one.values()) for one in settings(tmp_path)]
    assert sorted(found) == sorted(itertools.product([4, 8, 16], [True, False]))


def asked_and_told(sampler: str, trials: int) -> tuple[list[dict], list[float]]:
    """The settings and values of so many trials, each asked for by a worker that has just come."""
    study = optuna.create_study(direction="maximize")
    plan = Search(experiment=Experiment(), space=SPACE, trials=trials, sampler=sampler)
    for _ in range(trials):
        study.sampler = Sampler(plan)
        trial = study.ask()
        chosen = params.settings(SPACE, params.suggested(trial, SPACE))
        study.tell(trial, worth(plan.variant(chosen)))
    return [trial.params for trial in study.trials], [trial.value for trial in study.trials]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nevergrad:OnePlusOne"])
def test_hyperband_hides_no_trial_from_what_chooses_settings(sampler):
    """Each setting once, and the same ones whether a process trains all trials or each has one of its own."""
    space = {"training.batch_size": Choice(4, 8, 16), "head.dropout": Choice(0.0, 0.1, 0.2, 0.4)}
    plan = Search(experiment=OF_THIRTY, space=space, sampler=sampler, pruner="hyperband")
    found = []
    for anew in (False, True):
        study = optuna.create_study(sampler=Sampler(plan), pruner=pruner_of(plan), direction="maximize")
        for number in range(12):
            if anew:
                study.sampler, study.pruner = Sampler(plan), pruner_of(plan)
            trial = study.ask()
            settings = params.suggested(trial, space)
            trial.report(-settings["head.dropout"] - number % 3, 1)
            trial.should_prune()
            study.tell(trial, -settings["head.dropout"])
        found.append([tuple(trial.params[name] for name in space) for trial in study.trials])
    assert sorted(found[0]) == sorted(itertools.product((4, 8, 16), (0.0, 0.1, 0.2, 0.4)))
    assert found[1] == found[0]


def test_tpe_does_better_than_chance():
    values = asked_and_told("tpe", 30)[1]
    assert np.mean(values[-10:]) > np.mean(values[:10]) + 0.3


def test_workers_that_come_and_go_ask_nevergrad_as_one_that_stays():
    """One optimizer of nevergrad's own, asked and told without jaxlab."""
    chosen, values = asked_and_told("nevergrad:OnePlusOne", 12)
    lr, dropout = ng.p.Log(lower=1e-4, upper=1e-1), ng.p.Scalar(lower=0.0, upper=0.8)
    space = ng.p.Dict(p0=lr, p1=dropout, p2=ng.p.Choice([0, 1]))
    space.random_state.seed(0)
    optimizer = ng.optimizers.OnePlusOne(parametrization=space, budget=12, num_workers=2)
    for own, value in zip(chosen, values, strict=True):
        candidate = optimizer.ask()
        expected = [candidate.value["p0"], candidate.value["p1"], (4, 8)[candidate.value["p2"]]]
        assert list(own.values()) == pytest.approx(expected, rel=1e-12)
        optimizer.tell(candidate, -value)


@pytest.mark.parametrize("found", [{}, {"optimizer.lr": 0.1, "loss": "Gone()"}])
def test_settings_of_another_search_are_an_error_of_one_sentence(found):
    space = {"optimizer.lr": Log(1e-4, 1.0), "loss": Choice("a", "b")}
    with pytest.raises(
        UserError, match=r"trial.json: expected values of what is searched, optimizer.lr, loss, found"
    ):
        params.settings(space, found)
