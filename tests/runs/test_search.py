"""A search whose trials train nothing: who takes which trial, whatever dies when, and what comes of them."""

import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.experiment import Choice, Experiment, Log, Search, Training, Uniform
from jaxlab.runs import kinds
from jaxlab.runs.search import begin, ledger, params, records, report, train
from jaxlab.runs.search.samplers import Sampler
from jaxlab.training.loop import Diverged
from jaxlab.training.rundir import RunDirectory

SPACE = {
    "optimizer.lr": Log(1e-4, 1e-1),
    "head.dropout": Uniform(0.0, 0.8),
    "training.batch_size": Choice(4, 8),
}


OF_FOUR = Experiment(training=Training(epochs=4))


class Killed(BaseException):
    """A process that is no more."""


def worth(experiment) -> float:
    return -((math.log10(experiment.optimizer.lr) + 2) ** 2) - experiment.head.dropout


class Fake:
    """What trains in a trial's place: four epochs, each a line in a file. steps: {experiment's lr: what happens}."""

    def __init__(self):
        self.trained: list[float] = []
        self.happens = lambda experiment, epoch: None

    def train(self, experiment, rundir, *, source=None, allow_config_change=False, session=None):
        file = rundir.path / "epochs"
        done = len(file.read_text()) if file.exists() else 0
        for epoch in range(done + 1, 5):
            self.happens(experiment, epoch)
            self.trained.append(experiment.optimizer.lr)
            with file.open("a") as epochs:
                epochs.write("x")
            if epoch < 4 and session.judge and session.judge(epoch, {"pearson": worth(experiment)}):
                rundir.metrics.write_text(
                    json.dumps(
                        {"step": epoch, "epoch": epoch, "split": "validation", "pearson": worth(experiment)}
                    )
                )
                break
        return rundir.path

    class Run:
        usual = "best"

        def __init__(self, experiment):
            self.experiment = experiment

        @classmethod
        def load(cls, rundir, experiment):
            return cls(experiment)

        def recorded(self):
            return {"best": {"validation": {"pearson": worth(self.experiment)}}}


def instead(patch) -> Fake:
    """Trials train nothing, and nothing is looked at or painted."""
    made = Fake()
    patch.setitem(kinds.KINDS, Experiment, kinds.RunKind(made.train, Fake.Run))
    patch.setattr(begin, "examined", lambda search: "0" * 64)
    patch.setattr("jaxlab.runs.run.provenance", dict)
    patch.setattr(report, "pictures", lambda *_: None)
    patch.setattr("jax.clear_caches", lambda: None)
    return made


@pytest.fixture
def fake(monkeypatch):
    return instead(monkeypatch)


def search(run: Path, trials=3, sampler="random", **fields):
    said = io.StringIO()
    plan = Search(
        experiment=OF_FOUR, space=fields.pop("space", SPACE), trials=trials, sampler=sampler, **fields
    )
    jaxlab.train(plan, run, console=Console(file=said, width=200))
    return said.getvalue()


def states(run: Path) -> list[str]:
    """As Optuna itself reads the journal."""
    backend = JournalFileBackend(str(run / "journal.log"))
    return [
        one.state.name for one in optuna.load_study(study_name=None, storage=JournalStorage(backend)).trials
    ]


def settings(run: Path) -> list[dict]:
    found = records.trials_in(run)
    assert [one.number for one in found] == list(range(len(found)))
    return [one.params for one in found]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The settings of a search whose worker lived."""
    with pytest.MonkeyPatch.context() as patch:
        instead(patch)
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        search(run)
    return settings(run)


POINTS = [
    (ledger.Ledger, "_trial", 1),  # listed, not yet begun
    (ledger, "suggested", 2),  # begun, without settings
    (records.Trial, "write", 3),  # with settings, before its directory says so
    (records.Trial, "write", 4),  # trained, before its directory says so
    (ledger.Ledger, "tell", 2),  # its directory says so, and the ledger does not
    (records, "write_table", 2),  # told
]


@pytest.mark.parametrize(("owner", "name", "call"), POINTS)
def test_a_worker_that_dies_between_any_two_writes_loses_no_trial(
    fake, undisturbed, monkeypatch, tmp_path, owner, name, call
):
    once, calls = getattr(owner, name), []

    def dies(*given, **options):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return once(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            search(tmp_path / "run")
    search(tmp_path / "run")
    assert settings(tmp_path / "run") == undisturbed
    assert fake.trained == [one["optimizer.lr"] for one in undisturbed for _ in range(4)], "each epoch once"
    assert states(tmp_path / "run") == ["COMPLETE"] * 3


def test_a_trial_goes_on_from_the_epoch_at_which_its_process_died(fake, undisturbed, tmp_path):
    def dies(experiment, epoch):
        if epoch == 3 and len(fake.trained) == 6:
            raise Killed

    fake.happens = dies
    with pytest.raises(Killed):
        search(tmp_path)
    assert states(tmp_path) == ["COMPLETE", "RUNNING"]
    fake.happens = lambda *_: None
    said = search(tmp_path)
    assert "which goes on from its last checkpoint" in said
    assert fake.trained == [one["optimizer.lr"] for one in undisturbed for _ in range(4)]
    assert settings(tmp_path) == undisturbed


def test_two_workers_never_have_one_trial(fake, undisturbed, tmp_path):
    """The second begins in the middle of the first one's trial, and leaves it what is left to do at its end."""
    inner = []

    def another(experiment, epoch):
        if epoch == 2 and not inner:
            inner.append("begun")
            inner.append(search(tmp_path))

    fake.happens = another
    search(tmp_path)
    assert "2 of 3 trials complete, 1 begun and not finished" in inner[1]
    assert settings(tmp_path) == undisturbed
    assert sorted(fake.trained) == sorted(one["optimizer.lr"] for one in undisturbed for _ in range(4))


def test_a_journal_that_was_lost_is_written_again(fake, undisturbed, tmp_path):
    search(tmp_path, trials=2)
    (tmp_path / "journal.log").unlink()
    search(tmp_path)
    assert settings(tmp_path) == undisturbed
    assert states(tmp_path) == ["COMPLETE"] * 3
    with (tmp_path / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker')  # what a full disk left
    search(tmp_path, trials=4)
    assert states(tmp_path) == ["COMPLETE"] * 4


def test_a_trial_that_diverges_or_cannot_be_fails_and_the_search_goes_on(fake, tmp_path):
    failures = {0: Diverged("the loss is nan at step 3"), 1: UserError("a batch of 8 is too large")}

    def fails(experiment, epoch):
        if len(numbers := sorted(tmp_path.glob("trial0*"))) - 1 in failures:
            raise failures[len(numbers) - 1]

    fake.happens = fails
    said = search(tmp_path, trials=4)
    assert "trial   0  failed: the loss is nan at step 3" in said
    assert "trial   1  failed: a batch of 8 is too large" in said
    assert "2 of 4 trials complete, 2 failed" in said
    assert states(tmp_path) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    table = pd.read_csv(tmp_path / "trials.csv", index_col="trial")
    assert table["state"].tolist() == ["failed", "failed", "complete", "complete"]
    assert table["pearson"].isna().tolist() == [True, True, False, False]


def test_what_the_disk_refuses_is_no_failure_of_a_trial(fake, undisturbed, tmp_path):
    def full(experiment, epoch):
        if epoch == 2 and len(fake.trained) == 5:
            raise UserError("checkpoint could not be written") from OSError(28, "No space left on device")

    fake.happens = full
    with pytest.raises(UserError, match="could not be written"):
        search(tmp_path)
    assert states(tmp_path) == ["COMPLETE", "RUNNING"]
    fake.happens = lambda *_: None
    search(tmp_path)
    assert settings(tmp_path) == undisturbed


def test_a_search_in_which_nothing_can_be_trained_ends(fake, tmp_path):
    def fails(experiment, epoch):
        raise UserError("no such layer")

    fake.happens = fails
    with pytest.raises(
        UserError, match="3 trials in a row could not be trained, the last one for this: no such layer"
    ):
        search(tmp_path, trials=9)
    assert states(tmp_path) == ["FAIL"] * 3


def test_an_undefined_score_is_a_failure_and_never_0(fake, monkeypatch, tmp_path):
    monkeypatch.setattr(Fake.Run, "recorded", lambda self: {"last": {"validation": {"pearson": math.nan}}})
    said = search(tmp_path, trials=2)
    assert said.count("failed: its pearson is undefined (a single validation sample") == 2
    with pytest.raises(UserError, match="none of its 2 trials has come to its end with a score yet"):
        jaxlab.load(tmp_path)


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


def test_a_trial_that_was_given_up_stays_so_though_its_process_died(fake, monkeypatch, tmp_path):
    write, calls = records.Trial.write, []

    def dies(self, folder):
        if self.state == "stopped" and not calls:
            calls.append(self.number)
            raise Killed
        write(self, folder)

    monkeypatch.setattr(records.Trial, "write", dies)
    monkeypatch.setattr(train, "_epoch", lambda leaf: len((leaf.path / "epochs").read_text()))
    with pytest.raises(Killed):
        search(tmp_path, trials=12, pruner="median")
    search(tmp_path, trials=12, pruner="median")
    kept = records.read(tmp_path / f"trial{calls[0]:04d}")
    assert (kept.state, kept.epoch) == ("stopped", 1)
    assert (tmp_path / kept.name / "epochs").read_text() == "x"


def test_more_trials_go_on_and_another_config_is_refused(fake, undisturbed, tmp_path):
    search(tmp_path, trials=2)
    assert "3 of 3 trials complete" in search(tmp_path)
    assert settings(tmp_path) == undisturbed
    assert RunDirectory(tmp_path).config()["trials"] == 3
    with pytest.raises(UserError, match='made by a different config: sampler: "random" -> "tpe"'):
        search(tmp_path, sampler="tpe")
    with pytest.raises(
        UserError, match=r"lists its trials in journal.log, not in sqlite:.*leave --storage out"
    ):
        search(tmp_path, storage=f"sqlite:///{tmp_path}/a.db")


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


def test_a_database_lists_trials_of_several_directories(fake, tmp_path):
    """The first directory's machine is gone; what it had begun stays its own, and no number is given twice."""
    url = f"sqlite:///{tmp_path}/trials.db"

    def dies(experiment, epoch):
        raise Killed

    fake.happens = dies
    with pytest.raises(Killed):
        search(tmp_path / "one/run", storage=url)
    fake.happens = lambda *_: None
    assert "2 of 3 trials complete, 1 begun and not finished" in search(tmp_path / "two/run", storage=url)
    assert [one.number for one in records.trials_in(tmp_path / "two/run")] == [1, 2]
    assert "1 of 3 trials complete" in search(tmp_path / "one/run", storage=url)
    with pytest.raises(UserError, match="has a study 'run' of another config already; give another --run"):
        search(tmp_path / "three/run", storage=url, seed=4)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "--storage: expected a database's URL, as postgresql://USER@HOST/NAME"),
        (
            "sqlite:////nowhere/at/all.db",
            r"sqlite:////nowhere/at/all.db does not answer \(unable to open database file\)",
        ),
        (
            "postgresql://me:secret@localhost:1/x",
            r"postgresql://me:\*\*\*@localhost:1/x does not answer .*refused",
        ),
    ],
)
def test_a_storage_that_cannot_be_reached(fake, tmp_path, url, message):
    with pytest.raises(UserError, match=message) as refused:
        search(tmp_path / "run", storage=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("sampler", ["tpe", "nevergrad:OnePlusOne"])
def test_samplers_do_better_than_chance(sampler):
    """30 settings of a bowl, each by a worker that has just come: mean distance of the last ten from the middle."""
    study = optuna.create_study(direction="maximize")
    plan = Search(experiment=Experiment(), space=SPACE, trials=30, sampler=sampler)
    values = []
    for _ in range(30):
        study.sampler = Sampler(plan)
        trial = study.ask()
        chosen = params.settings(SPACE, params.suggested(trial, SPACE))
        values.append(worth(plan.variant(chosen)))
        study.tell(trial, values[-1])
    assert np.mean(values[-10:]) > np.mean(values[:10]) + 0.3
