"""Trials that a database lists."""

import io
import platform
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from fake_search import OF_FOUR, SPACE, Fake, Killed, search, settings
from rich.console import Console

import jaxlab
from jaxlab.core.beside import ConfigText
from jaxlab.core.types import UserError
from jaxlab.experiment import Search
from jaxlab.runs.search import begin, records, storage
from jaxlab.training.rundir import RunDirectory


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


def executed(url, text):
    with sqlalchemy.create_engine(url).begin() as connection:
        found = connection.execute(sqlalchemy.text(text))
        return [tuple(row) for row in found] if found.returns_rows else []


def test_what_other_directories_have_is_said_and_other_data_are_refused(fake, monkeypatch, tmp_path, capsys):
    url, one = f"sqlite:///{tmp_path}/trials.db", tmp_path / "one/run"
    search(one, trials=2, storage=url)
    scores = {trial.number: trial.score for trial in records.trials_in(one)}
    best = max(scores, key=scores.get)
    said = search(tmp_path / "two/run", trials=2, storage=url)
    assert "0 of 2 trials complete, 2 ended in other directories" in said
    assert "nothing was left to train here: 2 of 2 trials came to their end in other directories" in said
    assert f"best: trial {best}, pearson {scores[best]:.4f}, in {platform.node()}:{one}\n" in said
    assert "--set optimizer.lr=" in said
    assert len(fake.trained) == 8

    monkeypatch.setattr(Fake.Run, "recorded", lambda self: {"best": {"validation": {"pearson": -99.0}}})
    said = search(tmp_path / "two/run", trials=3, storage=url)
    assert f"best: trial {best}, " in said
    assert "best in this directory, which predicts with it: trial 2, " in said
    capsys.readouterr()
    jaxlab.load(tmp_path / "two/run")
    assert "two/run has 1 of the 3 trials of its search" in " ".join(capsys.readouterr().err.split())

    monkeypatch.setattr(begin, "examined", lambda search: "1" * 64)
    with pytest.raises(
        UserError, match=r"'run' on other data \(fingerprint 000000000000, here 111111111111\)"
    ):
        search(tmp_path / "three/run", trials=3, storage=url)
    executed(url, "delete from study_user_attributes where key = 'data'")  # as an earlier version left it
    assert "3 ended in other directories" in search(tmp_path / "three/run", trials=3, storage=url)


def test_a_database_that_was_lost_or_a_directory_that_was_renamed(fake, undisturbed, tmp_path):
    """The list is made anew, as a journal is: what was trained is told, what was begun is gone on with."""
    url, run = f"sqlite:///{tmp_path}/trials.db", tmp_path / "run"

    def dies(experiment, epoch):
        if epoch == 3 and len(fake.trained) == 6:
            raise Killed

    fake.happens = dies
    with pytest.raises(Killed):
        search(run, storage=url)
    fake.happens = lambda *_: None
    run = run.rename(tmp_path / "renamed")
    assert "which goes on from its last checkpoint" in search(run, storage=url)
    (tmp_path / "trials.db").unlink()
    assert "3 of 3 trials complete" in search(run, storage=url)
    assert settings(run) == undisturbed
    assert fake.trained == [one["optimizer.lr"] for one in undisturbed for _ in range(4)], "each epoch once"
    assert executed(url, "select number, state from trials order by number") == [
        (k, "COMPLETE") for k in range(3)
    ]
    told = executed(
        url, "select number, value from trial_values join trials using (trial_id) order by number"
    )
    assert [value for _, value in told] == [trial.score for trial in records.trials_in(run)]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "--storage: expected a database's URL, as postgresql://USER@HOST/NAME"),
        ("postgresql://me:secret/x", "--storage: expected a database's URL, .*, found 'postgresql'"),
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


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3/cret@host/db", "postgresql://host/db?user=me&password=s3/cret"]
)
def test_a_password_is_in_no_file_of_the_run(fake, monkeypatch, tmp_path, url):
    opened = storage.opened
    monkeypatch.setattr(storage, "opened", lambda url, folder: opened(None, folder))
    monkeypatch.setattr(sys, "argv", ["jaxlab", "sweep", "--storage", url])
    plan = Search(experiment=OF_FOUR, space=SPACE, trials=1, sampler="random", storage=url)
    source = ConfigText(f"storage = {url!r}", {"beside.py": f"url = {url!r}"})
    locks = []
    fake.happens = lambda *_: locks.append((tmp_path / "run/trial0000/lock").read_text())

    def train():
        jaxlab.train(plan, tmp_path / "run", source=source, console=Console(file=io.StringIO()))
        files = [file.read_text("utf-8") for file in (tmp_path / "run").rglob("*") if file.is_file()]
        return [*files, *locks]

    found = train()
    assert locks
    assert not [text for text in found if "cret" in text]
    assert "***" in (tmp_path / "run/config.py").read_text()
    rundir = RunDirectory(tmp_path / "run")
    then = sqlalchemy.make_url(url).render_as_string(hide_password=True)  # an earlier version kept this
    rundir.create(
        rundir.config(), None, {**rundir.info(), "search": {**rundir.info()["search"], "storage": then}}
    )
    assert not [text for text in train() if "cret" in text]


def _opened_at_once(url, folder, count=6):
    ready = threading.Barrier(count)

    def one(_):
        ready.wait()
        return storage.opened(url, folder).get_all_studies()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_workers_that_start_together_share_a_new_file(tmp_path):
    """As it may be, each finds no tables and makes them."""
    assert _opened_at_once(f"sqlite:///{tmp_path}/trials.db", tmp_path) == [[]] * 6


@pytest.mark.slow
def test_workers_that_start_together_share_a_new_postgresql_database(postgres, tmp_path):
    engine = sqlalchemy.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("create database fresh"))
    engine.dispose()
    assert _opened_at_once(postgres.replace("/postgres?", "/fresh?"), tmp_path) == [[]] * 6


@pytest.mark.slow
def test_a_search_on_postgresql_goes_on_where_its_worker_died(
    fake, undisturbed, monkeypatch, tmp_path, postgres
):
    def dies(experiment, epoch):
        if epoch == 3 and len(fake.trained) in (2, 7):
            fake.trained.append("died")
            raise Killed

    fake.happens = dies
    for _ in range(2):
        with pytest.raises(Killed):
            search(tmp_path / "run", storage=postgres)
    assert "3 of 3 trials complete" in search(tmp_path / "run", storage=postgres)
    assert settings(tmp_path / "run") == undisturbed
    assert [one for one in fake.trained if one != "died"] == [
        one["optimizer.lr"] for one in undisturbed for _ in range(4)
    ]
    engine = sqlalchemy.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("select number, state from trials order by number")).all()
    assert [tuple(one) for one in found] == [(k, "COMPLETE") for k in range(3)]
