"""Runs that end before their time is over, or are killed in a later fold, go on as if they had never stopped."""

import io
import itertools
import re
import shutil
import signal
from pathlib import Path

import pytest
import test_resume
from click.testing import CliRunner
from rich.console import Console
from test_resume import assert_same, train
from tiny import tiny

from jaxlab.cli.main import main
from jaxlab.experiment.folds import Folds
from jaxlab.runs import api
from jaxlab.runs.predict import predict_runs
from jaxlab.training import journal
from jaxlab.training.budget import Budget
from jaxlab.training.checkpoint import saved
from submit import Predictions

pytestmark = pytest.mark.slow


def told(experiment, run, seconds=None) -> str:
    """What a training says. seconds: of a clock that moves on by one whenever it is looked at."""
    out, ticks = io.StringIO(), itertools.count(0.0)
    budget = None if seconds is None else Budget(seconds, lambda: next(ticks))
    assert api.train(experiment, run, console=Console(file=out, width=200), stop_after=budget) == run
    return out.getvalue()


def test_a_run_that_stopped_in_time_goes_on_to_the_same_end(arrays_npz, trained, tmp_path):
    """Without checkpoints in mid-epoch, so that one there is the stop's."""
    run, experiment = tmp_path / "run", tiny(arrays_npz, "training.checkpoint_steps=none")
    said = told(experiment, run, seconds=35)
    stop = int(re.search(r"stopped after \w+ at step (\d+) of \d+; the same command goes on", said)[1])
    assert stop % 4, "in mid-epoch"
    assert saved(run / "checkpoints")[-1].step == stop
    warnings: list[str] = []
    predict_runs([run], log=warnings.append)
    assert warnings[0] == (
        f"warning: {run} stopped at step {stop} of 12; the same `jaxlab train` goes on from there"
    )
    assert f"going on from step {stop}" in told(experiment, run)
    assert_same(run, trained, last=(8, 12))
    lines: list[str] = []
    predict_runs([run], log=lines.append)
    (line,) = lines
    assert not line.startswith("warning")


def test_the_time_is_for_all_folds(arrays_npz, folded, tmp_path):
    run, folds = tmp_path / "run", Folds(experiment=tiny(arrays_npz), folds=2)
    stops = [told(folds, run, seconds=45)]
    while "stopped after" in stops[-1]:
        assert len(stops) < 10
        stops.append(told(folds, run, seconds=45))
    assert len(stops) > 2
    assert "out of fold" in stops[-1]
    for number in range(2):
        mine, whole = (path / f"fold{number}" for path in (run, folded))
        assert len({str(test_resume.told(saved(path / "checkpoints")[-1])) for path in (mine, whole)}) == 1
        assert journal.read(mine / "metrics.jsonl") == journal.read(whole / "metrics.jsonl")
    made, kept = (Predictions.load(path / "predictions/out_of_fold.npz") for path in (run, folded))
    assert made.values.tobytes() == kept.values.tobytes()


def test_killed_in_the_second_fold(arrays_npz, folded, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folded / "fold0", run / "fold0")
    killed = train(arrays_npz, run, "--folds", "2", moment="step", number=5)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = train(arrays_npz, run, "--folds", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"fold1: going on from step [34]\n", done.stderr)
    assert "fold 2 of 2  epoch   3" in done.stderr
    assert_same(run / "fold1", folded / "fold1", last=(4, 6))


def test_the_command_ends_well_before_its_time_is_over(arrays_npz, tmp_path):
    run, endless = tmp_path / "run", ("--set", "training.epochs=1e6", "--stop-after", "9s")
    stopped = train(arrays_npz, run, *endless)
    assert stopped.returncode == 0, stopped.stderr
    step = int(re.search(r"stopped after \d+s at step (\d+) of \d+; the same command", stopped.stderr)[1])
    assert stopped.stdout.split() == [str(run)]
    assert [checkpoint.step for checkpoint in saved(run / "checkpoints")][-1:] == ([step] if step else [])
    config = str(Path(__file__).parents[1] / "tiny_config.py")
    refused = CliRunner().invoke(main, ["train", config, "--stop-after", "8h30"])
    assert refused.exit_code == 1
    assert "error: stop-after: expected a time such as 8h30m, 45m or 90s, found '8h30'" in refused.stderr
