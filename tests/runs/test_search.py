"""A search of trials that train nothing: who takes which, whatever dies when, and what comes of them."""

import math

import numpy as np
import pandas as pd
import pytest
import tiny_config
from click.testing import CliRunner
from fake_search import Fake, Killed, search, settings, states

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.runs.search import ledger, records, train
from jaxlab.training.loop import Diverged
from jaxlab.training.rundir import RunDirectory
from submit import Predictions

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


@pytest.mark.parametrize(("width", "times"), [(200, 1), (60, 2)])
def test_trials_are_a_table_where_it_fits_and_else_lines(fake, tmp_path, width, times):
    """A line is told as the trial ends, too."""
    said = search(tmp_path, width=width).splitlines()
    assert "…" not in "".join(said)
    for number, trial in enumerate(settings(tmp_path)):
        lr = f"{trial['optimizer.lr']:.4g}"
        assert (
            sum(line.startswith(f"trial {number:3d}  ") and f"optimizer.lr={lr} " in line for line in said)
            == times
        )
        assert sum(line.split()[:1] == [str(number)] and lr in line for line in said) == 2 - times


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


@pytest.mark.slow
def test_a_trial_is_the_run_that_its_settings_make_alone(trained, arrays_npz, tmp_path):
    """On the command line; the run predicts, and is evaluated, as that run does."""
    study, out = tmp_path / "study", tmp_path / "out.npz"
    over = [
        "--over",
        "training.batch_size=8",
        "--over",
        "head.dropout=0.2",
        "--set",
        f"data.root={arrays_npz}",
    ]
    said = jaxlab_command("sweep", tiny_config.__file__, *over, "--run", study, "--keep", "predicting")
    assert "--set training.batch_size=8 --set head.dropout=0.2" in said
    alone = jaxlab.load(trained)
    run = jaxlab.load(study)
    for which in ("best", "last"):
        assert run.checkpoint(which).meta()["digest"] == alone.checkpoint(which).meta()["digest"]
        assert "opt_state" in alone.checkpoint(which).meta()["leaves"]
        assert "opt_state" not in run.checkpoint(which).meta()["leaves"]
    best = alone.recorded()["best"]["validation"]["pearson"]
    assert run.trials().loc[0, ["state", "pearson", "head.dropout"]].tolist() == ["complete", best, 0.2]
    jaxlab_command("predict", study, "--out", out)
    np.testing.assert_array_equal(Predictions.load(out).values, alone.predict_split("test").values)
    assert (study / "predictions/test.npz").is_file()
    assert "trial0000" in jaxlab_command("inspect", study)


def jaxlab_command(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
