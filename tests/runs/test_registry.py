"""The registry is what run directories say; each snapshot is validated once, whoever dies; nothing ends a training."""

import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from fake_runs import FakeValidate, checkpoint, digest, fake_run, pearson, registry_of, some_runs, watch
from processes import Process
from sqlalchemy import select, update

from jaxlab.core.types import UserError
from jaxlab.runs.registry.claims import STALE, Claims
from jaxlab.runs.registry.listing import lines_of, nested, opened
from jaxlab.runs.registry.place import place_of
from jaxlab.runs.registry.reports import Reports, conclude
from jaxlab.runs.registry.store import Registry
from jaxlab.runs.registry.tables import RUN, SNAPSHOT
from jaxlab.runs.registry.watch import Watcher, note_directories
from jaxlab.training import elsewhere, journal
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.chosen import chosen as checkpoint_of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return some_runs(tmp_path)


def statuses(registry: Registry) -> dict[str, dict[int, str]]:
    asked = select(RUN.c.path, SNAPSHOT.c.step, SNAPSHOT.c.status).join(RUN, RUN.c.id == SNAPSHOT.c.run)
    found: dict[str, dict[int, str]] = {}
    with registry.reading() as db:
        for path, step, status in db.execute(asked.order_by(SNAPSHOT.c.step)):
            found.setdefault(path, {})[step] = status
    return found


def test_it_says_what_run_directories_say_and_is_made_anew(runs):
    expected = {
        "here": {4: "deleted", 8: "best", 10: "pending", 12: "validated"},
        "there": dict.fromkeys((4, 8, 12), "pending"),
        "study/fold0": {4: "pending"},
    }
    assert statuses(registry_of(runs)) == expected
    (runs / "registry.sqlite").unlink()
    registry, _ = opened(runs, False, pytest.fail)
    assert statuses(registry) == expected
    lines = {line.name: line for line in lines_of(registry)}
    assert lines["here"].scores == {"loss": 0.4, "pearson": 0.7}
    assert (lines["here"].state, lines["study/fold0"].state, lines["there"].waiting) == (
        "finished",
        "stopped",
        3,
    )
    assert [(line.name, depth) for line, depth in nested(list(lines.values())) if depth] == [
        ("study/fold0", 1)
    ]


def test_a_run_that_came_or_went_is_seen(runs):
    registry_of(runs).close()
    checkpoint(fake_run(runs / "new"), 4)
    for file in sorted((runs / "there").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (runs / "there").rmdir()
    registry, _ = opened(runs, False, pytest.fail)
    assert {line.name for line in lines_of(registry)} == {"here", "study", "study/fold0", "new"}


def watcher(folder: Path, log: Path, **more) -> Watcher:
    return Watcher(registry_of(folder), folder, FakeValidate(log, **more), lambda line: None, poll=0.01)


def test_what_is_pending_is_validated_and_the_best_predicts(runs, capsys):
    log = runs / "log"
    outcome = watcher(runs, log).run()
    assert (outcome.validated, outcome.failed, outcome.left) == (5, {}, 0)
    found = statuses(Registry(place_of(runs)))
    assert found == statuses(registry_of(runs)), "as the run directories say"
    assert found["there"] == {4: "deleted", 8: "best", 12: "validated"}, "the best and the last two stay"
    assert journal.validations(runs / "there/metrics.jsonl")[8] == {"loss": 1 / 8, "pearson": pearson(8)}
    steps = np.array([4, 8, 12])
    assert (
        checkpoint_of(runs / "there/checkpoints", "best").step
        == steps[np.argmax(0.9 - 0.01 * np.abs(steps - 8))]
    )
    assert checkpoint_of(runs / "here/checkpoints", "best").step == 8, "training has chosen that"
    assert capsys.readouterr().err == ""
    assert watcher(runs, log).run().validated == 0
    checkpoint(runs / "there", 13, awaits="pearson")
    assert checkpoint_of(runs / "there/checkpoints", "best").step == 8
    assert "1 of 3 checkpoints is not validated yet" in "".join(capsys.readouterr().err.splitlines())


def test_checkpoints_stay_until_they_are_validated(runs):
    for step in (16, 20):
        checkpoint(runs / "there", step, awaits="pearson", steps=20)
    seen: list[list[int]] = []
    one = watcher(runs / "there", runs / "log")
    one.say = lambda line: seen.append([found.step for found in saved(runs / "there/checkpoints")])
    assert one.run().validated == 5
    assert seen[0] == [4, 8, 12, 16, 20]
    assert [found.step for found in saved(runs / "there/checkpoints")] == [8, 16, 20], (
        "the best and the last two"
    )


def test_one_that_fails_is_said_and_left_to_others(runs):
    outcome = watcher(runs, runs / "log", damaged=(8,)).run()
    assert (outcome.validated, list(outcome.failed)) == (4, ["there step 8"])
    assert statuses(registry_of(runs))["there"][8] == "pending"


def test_what_a_killed_watcher_left_is_not_done_again(runs):
    meta = Saved(runs / "there/checkpoints/8").meta()
    registry = registry_of(runs)
    assert elsewhere.keep(runs / "there", meta, {"loss": 0.1, "pearson": 0.5})
    assert not elsewhere.keep(runs / "there", meta, {"loss": 9.0, "pearson": 0.1}), "the first one stays"
    outcome = Watcher(registry, runs / "there", FakeValidate(runs / "log"), lambda line: None).run()
    assert outcome.validated == 2
    assert "there 8" not in (runs / "log").read_text()
    assert journal.validations(runs / "there/metrics.jsonl")[8]["pearson"] == 0.5


def test_scores_of_other_parameters_are_none_of_the_checkpoint(runs):
    meta = {**Saved(runs / "there/checkpoints/8").meta(), "digest": "another"}
    elsewhere.keep(runs / "there", meta, {"loss": 0.1, "pearson": 0.99})
    assert statuses(registry_of(runs))["there"][8] == "pending"
    watcher(runs, runs / "log").run()
    assert json.loads((runs / "there/validations/8.json").read_text())["digest"] == digest(runs / "there", 8)


def test_a_checkpoint_that_training_makes_again_is_validated_again(runs, monkeypatch):
    one, keep = watcher(runs / "here", runs / "log"), elsewhere.keep

    def gone(run, step):
        shutil.rmtree(run / "checkpoints" / str(step))
        raise UserError("nothing there")

    one.validate = gone
    assert (one.run().validated, one.run().failed) == (0, {})
    checkpoint(runs / "here", 10, best={"metric": "pearson", "value": 0.7, "step": 8, "epoch": 2})

    def cut_off(run, meta, scores):
        keep(run, meta, scores)
        elsewhere.forget(run, meta["step"] - 1)
        monkeypatch.undo()

    monkeypatch.setattr(elsewhere, "keep", cut_off)
    one.validate = FakeValidate(runs / "log")
    assert one.run().validated == 1
    assert len((runs / "log").read_text().splitlines()) == 2
    assert statuses(one.registry)["."][10] == "validated"


def test_a_claim_is_one_watchers_until_it_is_no_more(runs):
    registry = registry_of(runs)
    first, second = Claims(registry, "there"), Claims(registry, "there")
    mine = [first.take() for _ in range(3)]
    assert sorted(claim.step for claim in mine) == [4, 8, 12]
    assert second.take() is None
    assert all(first.beat(claim) for claim in mine)

    def changed(claim, **values):
        with registry.writing() as db:
            db.execute(update(SNAPSHOT).where(SNAPSHOT.c.id == claim.snapshot).values(**values))

    changed(mine[0], pid=2**22 + 1)  # more than Linux gives
    changed(mine[1], host="another", beat=time.time() - STALE + 5)
    taken = second.take()
    assert taken.snapshot == mine[0].snapshot
    assert second.take() is None
    changed(mine[1], beat=time.time() - STALE - 5)
    assert second.take().snapshot == mine[1].snapshot
    assert not first.beat(mine[0])
    assert not first.finish(mine[0], {"loss": 1.0}, lambda: None)
    assert second.finish(taken, {"loss": 2.0}, lambda: None)
    first.release(mine[2])
    assert second.take().snapshot == mine[2].snapshot


def test_watchers_that_are_killed_leave_each_snapshot_validated_once(runs, tmp_path):
    """Two of them, one killed at its first snapshot."""
    log, registry = runs / "log", registry_of(runs)
    with Process(watch, str(runs), str(log), 60.0) as slow:
        while "validating" not in {
            status for each in statuses(registry).values() for status in each.values()
        }:
            time.sleep(0.02)
        slow.kill()
        assert watcher(runs, log).run().validated == 5
    lines = [line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()]
    assert sorted(lines) == ["fold0 4", "here 10", "there 12", "there 4", "there 8"]


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_signal_ends_a_watcher_and_its_snapshot_is_given_back(runs, moment):
    one = watcher(runs, runs / "log")

    def validate(run, step):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    def known(claim):
        os.kill(os.getpid(), signal.SIGTERM)

    one.validate = validate
    if moment == "before":
        one._known = known
    began = time.monotonic()
    outcome = one.run(watch=True)
    assert time.monotonic() - began < 10
    assert (outcome.validated, outcome.left) == (0, 5)
    assert "validating" not in {
        status for each in statuses(one.registry).values() for status in each.values()
    }


# The kind: why a registry refuses.
def _corrupt(file: Path) -> None:
    file.write_text("no database" * 1000)


def _other_schema(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("create table about (schema integer not null)")
        db.execute("insert into about values (99)")


def _locked(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("begin exclusive")
    return db


def _folder(file: Path) -> None:
    file.mkdir()


REFUSES = {
    _corrupt: "not a database",
    _other_schema: "found 99",
    _locked: "locked",
    _folder: "unable to open",
}


@pytest.mark.parametrize("refuse", REFUSES)
def test_a_registry_that_refuses_is_a_warning_once(runs, refuse, monkeypatch):
    monkeypatch.setattr("jaxlab.runs.registry.reports._PATIENCE", 0.05)
    held = refuse(runs / "registry.sqlite")
    told: list[str] = []
    with Reports(runs / "here", told.append) as reports:
        for step in (10, 12):
            reports(Saved(runs / f"here/checkpoints/{step}"), None)
    assert len(told) == 1
    assert REFUSES[refuse] in told[0]
    assert "Training goes on" in told[0]
    del held


def test_a_config_that_is_read_otherwise_than_meant_ends_no_training(runs):
    (runs / "here/config.json").write_text('{"schema": 1, "experiment": {"type": "Mine", "training": 3}}')
    told: list[str] = []
    conclude(runs / "here", told.append)
    assert "AttributeError" in told[0]


def test_training_tells_of_its_checkpoints_and_of_its_end(runs):
    reports = Reports(runs / "here", pytest.fail)
    with reports:
        reports(Saved(runs / "here/checkpoints/8"), {"pearson": 0.7})
        (runs / "here/checkpoints/10/meta.json").unlink()
        (runs / "here/checkpoints/10/manifest.json").unlink()
        (runs / "here/checkpoints/10").rmdir()
        checkpoint(runs / "here", 16, best={"metric": "pearson", "value": 0.8, "step": 16, "epoch": 4})
        reports(Saved(runs / "here/checkpoints/16"), {"pearson": 0.8, "loss": float("nan")})
        registry = Registry(place_of(runs))
        assert statuses(registry)["here"] == {
            4: "deleted",
            8: "validated",
            10: "deleted",
            12: "validated",
            16: "best",
        }
        (line,) = lines_of(registry, "here")
        assert (line.state, line.step, line.scores) == ("training", 16, {"pearson": 0.8, "loss": None})
    reports.__exit__(RuntimeError, RuntimeError(), None)
    (line,) = lines_of(registry, "here")
    assert line.state == "failed"


def test_a_training_that_is_no_more_has_died(runs):
    registry = registry_of(runs)
    with registry.writing() as db:
        db.execute(update(RUN).where(RUN.c.path == "here").values(state="training", pid=2**22 + 1))
        db.execute(
            update(RUN).where(RUN.c.path == "there").values(state="training", host="a", beat=time.time())
        )
    assert {line.name: line.state for line in lines_of(registry)}.items() >= {
        ("here", "died"),
        ("there", "training"),
    }


def test_what_runs_note_is_kept_while_somebody_validates(runs):
    registry = registry_of(runs)
    claims = Claims(registry, "there")
    claim = claims.take()
    note_directories(registry, runs)
    assert claims.beat(claim), "a rescan leaves it theirs"


def test_a_folder_with_a_question_mark_has_its_registry_in_it(tmp_path):
    (tmp_path / "better?").mkdir()
    runs = some_runs(tmp_path / "better?")
    assert statuses(registry_of(runs))["there"][4] == "pending"
    assert [path.name for path in tmp_path.iterdir()] == ["better?"]
    assert (runs / "registry.sqlite").is_file()
