"""Resume equals never having stopped, bit for bit: runs killed, interrupted, and going on in new processes."""

import json
import random
import re
import shutil
import signal
from pathlib import Path

import killed
import numpy as np
import processes
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def train(root, run, *options, config="tiny_config", moment="", number=0, sent=signal.SIGKILL, size_limit=-1):
    """The finished process; size_limit: bytes that a file may have."""
    arguments = [
        "train",
        str(TESTS / f"{config}.py"),
        "--run",
        str(run),
        "--set",
        f"data.root={root}",
        *options,
    ]
    return processes.run(killed.train, arguments, moment, number, int(sent), size_limit)


@pytest.fixture(scope="module")
def whole(trained):
    """A run that was never stopped: 12 steps, checkpoints at 3, 4, 6, 8, 9 and 12. It was made in this process."""
    return trained


def again(root, run, *options):
    """The same command where nothing is to be trained, which needs no process of its own."""
    arguments = ["train", str(TESTS / "tiny_config.py"), "--run", str(run), "--set", f"data.root={root}"]
    return CliRunner().invoke(main, [*arguments, *options])


def told(checkpoint) -> dict:
    """Its meta.json but for the memory that the process had, which says nothing of the run."""
    return {name: value for name, value in checkpoint.meta().items() if name != "memory"}


def assert_same(run: Path, whole: Path, last: tuple[int, int] = (9, 12)) -> None:
    """The best checkpoint and the `last` two are kept; those that `whole` has too are the same, and all records."""
    mine = {c.step: c for c in saved(run / "checkpoints")}
    theirs = {c.step: c for c in saved(whole / "checkpoints")}
    best = max(journal.read(whole / "metrics.jsonl", "validation"), key=lambda record: record["pearson"])
    assert sorted(mine) == sorted({best["step"], *last})
    common = mine.keys() & theirs.keys()
    assert {best["step"], last[1]} <= common
    for one, other in ((mine[step], theirs[step]) for step in sorted(common)):
        assert one.fault() is None
        assert told(one) == told(other)  # digest, best, epoch
        found, expected = one.arrays(), other.arrays()
        assert found.keys() == expected.keys()
        for field, leaves in expected.items():
            assert found[field].keys() == leaves.keys()
            for path, leaf in leaves.items():
                np.testing.assert_array_equal(found[field][path], leaf, err_msg=f"{field}.{path}")
    assert journal.read(run / "metrics.jsonl") == journal.read(whole / "metrics.jsonl")


def test_killed_again_and_again(arrays_npz, whole, tmp_path):
    """At random steps, before the first checkpoint and in mid-epoch too, and in the middle of a checkpoint."""
    draw = random.Random(5)  # steps 2, 6 and 11: before the first checkpoint, and twice in mid-epoch
    kills = [
        ("step", draw.randint(1, 2)),
        ("step", draw.randint(4, 7)),
        ("write", 9),
        ("step", draw.randint(9, 11)),
    ]
    run = tmp_path / "run"
    for moment, number in kills:
        killed = train(arrays_npz, run, moment=moment, number=number)
        assert killed.returncode == -signal.SIGKILL, (moment, number, killed.stderr)
    done = train(arrays_npz, run)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stderr
    assert not list((run / "checkpoints").glob("*.partial"))
    assert_same(run, whole)


def test_killed_before_between_and_after_the_phases_of_a_fine_tuning(arrays_npz, tmp_path):
    """They begin at steps 5 and 8; the checkpoints gone on from are those of steps 4, 6 and 9."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train(arrays_npz, whole, config="tiny_finetune_config").returncode == 0
    said = []
    for number in (5, 7, 10):
        killed = train(arrays_npz, run, config="tiny_finetune_config", moment="settled", number=number)
        assert killed.returncode == -signal.SIGKILL, (number, killed.stderr)
        said += re.findall(r"going on from step (\d+)", killed.stderr)
    done = train(arrays_npz, run, config="tiny_finetune_config")
    assert done.returncode == 0, done.stderr
    said += re.findall(r"going on from step (\d+)", done.stderr)
    assert said == ["4", "6", "9"]
    assert_same(run, whole)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_politely(arrays_npz, whole, tmp_path, sent):
    """The step is finished and saved, in mid-epoch and where no checkpoint was due."""
    run, sparse = tmp_path / "run", ("--set", "training.checkpoint_steps=none")
    stopped = train(arrays_npz, run, *sparse, moment="step", number=5, sent=sent)
    assert "the same command goes on from there" in stopped.stderr
    assert stopped.returncode == 75, "a script runs it again, and does not go on with a network half trained"
    last = saved(run / "checkpoints")[-1]
    assert last.step == 7  # step 5's loss is read two steps later
    assert last.fault() is None
    if sent == signal.SIGTERM:  # it goes on as after the other
        return
    assert train(arrays_npz, run, *sparse).returncode == 0
    assert_same(run, whole, last=(8, 12))  # no checkpoints in mid-epoch


def test_the_same_command_on_a_run_that_is_done_changes_nothing(arrays_npz, whole, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    before = (run / "metrics.jsonl").read_bytes()
    done = again(arrays_npz, run)
    assert done.exit_code == 0, done.output
    assert "all 12 steps are done" in done.stderr
    assert (run / "metrics.jsonl").read_bytes() == before
    assert_same(run, whole)


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_used(arrays_npz, whole, tmp_path):
    run = tmp_path / "run"
    train(arrays_npz, run, "--set", "training.keep_every=1", moment="step", number=7)
    newest = saved(run / "checkpoints")[-1]
    manifest = json.loads((newest.path / "manifest.json").read_text())
    data = max((newest.path / name for name in manifest["files"]), key=lambda p: p.stat().st_size)
    raw = bytearray(data.read_bytes())
    raw[len(raw) // 2] ^= 16
    data.write_bytes(raw)
    done = train(arrays_npz, run, "--set", "training.keep_every=1")
    assert done.returncode == 0, done.stderr
    assert f"checkpoint {newest.step} is damaged" in done.stderr
    assert journal.read(run / "metrics.jsonl") == journal.read(whole / "metrics.jsonl")
    assert (
        saved(run / "checkpoints")[-1].meta()["digest"] == saved(whole / "checkpoints")[-1].meta()["digest"]
    )

    for checkpoint in saved(run / "checkpoints"):
        (checkpoint.path / "manifest.json").write_text("{}")
    refused = again(arrays_npz, run, "--set", "training.keep_every=1")
    assert refused.exit_code == 1
    assert "checkpoints is whole; remove" in refused.stderr


@pytest.fixture(scope="module")
def stopped(arrays_npz, tmp_path_factory):
    """A run killed after step 5."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    train(arrays_npz, run, moment="step", number=5)
    return run


@pytest.mark.parametrize("size", [600, 4000], ids=["records", "checkpoint"])
def test_a_full_disk_ends_in_one_message_and_the_last_checkpoint_stays(
    arrays_npz, whole, stopped, tmp_path, size
):
    """A limit on the size of files stands in for a disk that fills up while it is written to."""
    run = Path(shutil.copytree(stopped, tmp_path / "run"))
    kept = saved(run / "checkpoints")[-1]
    limited = train(arrays_npz, run, size_limit=size)
    assert limited.returncode == 1, limited.stderr
    # One message of ours, among what threads of the writing library may say at the same time.
    assert re.search(r"error: .*could not be written \(File too large\)", limited.stderr)
    assert saved(run / "checkpoints")[-1].step == kept.step
    assert kept.fault() is None
    if (
        size == 600
    ):  # records are torn; after the other, it goes on as after a kill in the middle of a checkpoint
        assert train(arrays_npz, run).returncode == 0
        assert_same(run, whole)
