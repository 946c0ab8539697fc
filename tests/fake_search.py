"""A search whose trials train nothing."""

import io
import json
import math
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console

import jaxlab
from jaxlab.experiment import Choice, Experiment, Log, Search, Training, Uniform
from jaxlab.runs import kinds
from jaxlab.runs.search import begin, records, report

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


def search(run: Path, trials=3, sampler="random", width=200, **fields):
    said = io.StringIO()
    plan = Search(
        experiment=OF_FOUR, space=fields.pop("space", SPACE), trials=trials, sampler=sampler, **fields
    )
    jaxlab.train(plan, run, console=Console(file=said, width=width))
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
